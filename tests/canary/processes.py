"""Looks at the environment and the command line of every process of this machine while others work."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import TracebackType

from tests.canary.search import Found


class Sampler:
    """Reads /proc again and again until its block ends; `found` has what it saw, each process's state once."""

    def __init__(self) -> None:
        self.found = Found()
        self.rounds = 0
        self._ended = threading.Event()
        self._seen: set[bytes] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.rounds += 1
            for process in Path("/proc").glob("[0-9]*"):
                self._look(process)

    def _look(self, process: Path) -> None:
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                data = (process / name).read_bytes()
                if data and data not in self._seen:
                    self._seen.add(data)
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")[:120].decode(errors="replace")
                    self.found.read(f"/proc/{process.name}/{name} ({command})", data)
