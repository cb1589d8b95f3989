"""The service with the shipped triage graph, and its peers as small servers on real sockets."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from langgraph_harness import AGENTS, Server

Answer = tuple[int, Any]
LOG_ERROR = {"file": "A.cs", "line": 3, "column": 5, "severity": "error", "code": "CS0103", "message": "no such name"}
FINISHED = {"session_id": "s1", "status": "finished", "messages": [], "result": "Mend A.cs", "stop_reason": "APPROVED"}


class Peer:
    """A small HTTP server: `answer` says what it answers (None: it hangs up), `requests` what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.answer: Callable[[str, Any], Answer] = lambda path, body: (404, {"detail": "nothing here"})
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def _respond(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {key.lower(): value for key, value in self.headers.items()}
                peer.requests.append((self.command, self.path, headers, body))
                status, content = peer.answer(self.path, body)
                if content is None:
                    return
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(sent)))
                if status == 503:
                    self.send_header("retry-after", "1")
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = _respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                """The tests read `requests`."""

        self._handler = Handler
        self.open(0)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def open(self, port: int) -> None:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def reopen(self) -> None:
        """Listen again where it listened before."""
        self.open(int(self.url.rpartition(":")[2]))


class Stack:
    """The service with the shipped graph, and its two peers."""

    def __init__(self, folder: Path, server_kind: type[Server], *, seconds: tuple[str, str] = ("1", "2")) -> None:
        self.powershell, self.autogen = Peer(), Peer()
        folder.mkdir(parents=True, exist_ok=True)
        self.token = folder / "autogen_token"
        self.token.write_text("token-of-autogen\n")
        (folder / "powershell_token").write_text("token-of-powershell\n")
        self.server = server_kind(
            folder,
            AGENTS,
            POWERSHELL_URL=self.powershell.url,
            AUTOGEN_URL=self.autogen.url,
            POWERSHELL_TOKEN_FILE=str(folder / "powershell_token"),
            AUTOGEN_TOKEN_FILE=str(self.token),
            TRIAGE_INVOKE_SECONDS=seconds[0],
            TRIAGE_CONSULT_SECONDS=seconds[1],
        )

    def reset(self) -> None:
        """Peers that answer as they should."""
        for peer in (self.powershell, self.autogen):
            peer.requests.clear()
        self.powershell.answer = lambda path, body: (200, {"ok": True, "result": [{"Files": 3}], "errors": [], "ms": 1})
        self.autogen.answer = lambda path, body: (200, FINISHED)

    def compile_log(self, *records: dict[str, Any]) -> None:
        """Let the modules find these records in the log."""
        self.powershell.answer = lambda path, body: (200, {"ok": True, "result": [*records], "errors": [], "ms": 1})

    async def run(self, path: Any, kind: str = "modified", thread: str | None = None) -> dict[str, Any]:
        """Triage one change."""
        event = {"id": uuid.uuid4().hex, "path": path, "kind": kind, "at": "2026-01-01T00:00:00Z"}
        async with self.server.client() as client:
            values = await client.runs.wait(thread, "triage", input={"event": event})
        assert isinstance(values, dict)
        return values
