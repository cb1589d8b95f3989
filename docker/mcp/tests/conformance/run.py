"""Run the official MCP conformance suite: `python run.py [FOLDER]`, in the service's environment; npm is the other need.

Exit code 0 when every scored scenario of both frozen requirement sets passes, and every active one of the stable line.
Tasks are an extension that is not offered, and resuming a stream is not either: the suite runs those scenarios too, and
does not score them. FOLDER keeps what npm installs for the next time.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suites import HERE, Suites

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


def main(folder: Path) -> int:
    """Run all three, say what failed."""
    suites = Suites(folder)
    # The older protocol needs sessions for half of its scenarios; the newer one knows none.
    runs = {
        "0.1.16, active scenarios": (suites.stable, [], []),
        "2025-11-25": (suites.frozen, ["--requirements", "2025-11-25"], []),
        "2026-07-28": (suites.frozen, ["--requirements", "2026-07-28"], ["--stateless"]),
    }
    failed = 0
    for name, (suite, wanted, options) in runs.items():
        with server(*options) as url:
            command = [suites.node, suite, "server", "--url", url, *wanted]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
        total = _TOTAL.search(done.stdout)
        lines = done.stdout.splitlines()
        scenarios = sum(line.startswith(("✓", "✗")) for line in lines)
        failing = [line.strip() for line in lines if line.startswith("✗")]
        counts = f"{scenarios - len(failing)} of {scenarios} scenarios; {total[0] if total else done.stdout[-2000:]}"
        sys.stdout.write("\n  ".join([f"{name}: exit {done.returncode}; {counts}", *failing]) + "\n")
        failed |= done.returncode
    return int(failed != 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(temporary)))
