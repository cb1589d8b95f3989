"""Run the official MCP conformance suite: `python run.py`, in the service's environment; npm is the only other need.

Exit code 0 when every scored scenario of both requirement sets passes. Tasks are an extension that is not offered, and
resuming a stream is not either: the suite runs those scenarios too, and does not score them.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The older protocol needs sessions for half of its scenarios; the newer one knows none.
SETS: dict[str, tuple[str, ...]] = {"2025-11-25": (), "2026-07-28": ("--stateless",)}
_TOTAL = re.compile(r"^Total: .*$", re.MULTILINE)


@contextmanager
def server(*options: str) -> Iterator[str]:
    """The fixture server's URL while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "UC_HOST": "127.0.0.1", "UC_PORT": str(port), "UC_LOG_LEVEL": "ERROR"}
    process = subprocess.Popen([sys.executable, str(HERE / "conformance_server.py"), *options], env=env)
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(10)


def main() -> int:
    """Install the suite in a folder of its own, run both sets, say what failed."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        modules = Path(folder, "node_modules")
        node = str(modules / "node" / "bin" / "node")
        suite = str(modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js")
        failed = 0
        for wanted, options in SETS.items():
            with server(*options) as url:
                command = [node, suite, "server", "--url", url, "--requirements", wanted]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            total = _TOTAL.search(done.stdout)
            failing = [line.strip() for line in done.stdout.splitlines() if line.startswith("✗")]
            report = [f"{wanted}: exit {done.returncode}; {total[0] if total else done.stdout[-2000:]}", *failing]
            sys.stdout.write("\n  ".join(report) + "\n")
            failed |= done.returncode
        return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main())
