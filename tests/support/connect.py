"""A proxy of this machine for TLS connections (HTTP CONNECT), and for nothing else."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator

from tests.support.relay import copy


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        """Connect to the host that is asked for, and pass bytes on in both directions."""
        host, _, port = self.path.rpartition(":")
        try:
            outer = socket.create_connection((host.strip("[]"), int(port)), timeout=60)
        except OSError as error:
            self.send_error(502, str(error))
            return
        with outer:
            outer.settimeout(None)
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=copy, args=(outer, self.connection))
            back.start()
            copy(self.connection, outer)
            back.join()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def connecting(host: str) -> Iterator[str]:
    """Serve at a free port of the host; yields the URL of the proxy."""
    with http.server.ThreadingHTTPServer((host, 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
