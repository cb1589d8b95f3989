"""The program of the services that tests deploy: it answers with what it was given, and fails as its image says.

Variables of an image: BROKEN_PATH is answered with 500, and it dies DIES_AFTER seconds after its start.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

DATA, SECRETS, RELEASE = Path("/data"), Path("/run/secrets"), Path("/release/release.json")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _report() -> dict[str, object]:
    """What this container is, as far as it can see that from inside."""
    secrets = sorted(SECRETS.iterdir()) if SECRETS.is_dir() else []
    return {
        "status": "healthy",
        "host": socket.gethostname(),
        "content": _text(Path("/app/content")),
        "environment": {key: value for key, value in os.environ.items() if key.startswith("UC_") or key == "GREETING"},
        "secrets": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in secrets},
        "starts": _text(DATA / "starts").split(),
        "notes": _text(Path("/notes/note")),
        "release": _text(RELEASE),
        "user": f"{os.getuid()}:{os.getgid()}",
    }


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every path."""

    def do_GET(self) -> None:
        """Send the report, or 500 for the path that is broken."""
        body = json.dumps(_report()).encode()
        self.send_response(500 if self.path == os.environ.get("BROKEN_PATH") else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Note the start where there is a volume, and serve until a signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if DATA.is_dir():
        with (DATA / "starts").open("a") as file:
            file.write(f"{socket.gethostname()}\n")
    if seconds := os.environ.get("DIES_AFTER"):
        timer = threading.Timer(float(seconds), os._exit, (9,))
        timer.daemon = True
        timer.start()
    http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()


if __name__ == "__main__":
    main()
