"""Registries with TLS, logins and other settings: Distribution's own program, configured."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def serve(program: str, folder: Path, address: str, **settings: Any) -> Iterator[Path]:
    """Run a registry at `address` with extra settings until the block ends; yields its log."""
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}},
    } | settings
    config["http"] = {"addr": address} | config.get("http", {})
    file, log = folder / "config.yml", folder / "registry.log"
    file.write_text(json.dumps(config))
    with log.open("ab") as output:
        process = subprocess.Popen([program, "serve", str(file)], stdout=output, stderr=output)
    try:
        _wait(process, address, log)
        yield log
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
