"""A registry process: Distribution's binary on its own loopback address and folder."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

_START_SECONDS = 60
CONFIG = """\
version: 0.1
log: {{ level: error }}
storage:
  filesystem: {{ rootdirectory: {storage} }}
  delete: {{ enabled: true }}
http: {{ addr: "{address}" }}
"""


def free_address(host: str) -> str:
    """Return an unused port on the loopback host, as an address."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


@dataclass(slots=True)
class Registry:
    """A registry at `address` that keeps its blobs in `storage`; it can be stopped and started again.

    `settings` are more of its settings, as YAML.
    """

    program: str
    folder: Path
    address: str
    storage: Path
    process: subprocess.Popen[bytes] | None = None
    settings: str = ""

    def start(self) -> None:
        """Start it, and return once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.yml"
        config.write_text(CONFIG.format(storage=self.storage, address=self.address) + self.settings)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, "serve", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if httpx.get(f"http://{self.address}/v2/", trust_env=False).status_code in {200, 401}:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the registry does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the process; its storage stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
