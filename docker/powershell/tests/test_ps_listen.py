"""Listening while clients already try to connect."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import subprocess
from pathlib import Path

import pytest
from psserver import DEADLINE, START, free_port

# Few clients connect in the microseconds that count: one start in a hundred met one.
STARTS = 300
SCRIPT = """
param([string] $Module, [string] $Prefix, [int] $Starts)
$ErrorActionPreference = 'Stop'
Import-Module $Module -DisableNameChecking
foreach ($number in 1..$Starts) { (Open-Listener $Prefix).Close() }
"""


def _connect_for_ever(port: int) -> None:
    while True:
        with socket.socket() as client, contextlib.suppress(OSError):
            client.connect(("127.0.0.1", port))


@pytest.mark.timeout(300)
def test_a_connection_in_the_moment_of_the_start_does_no_harm(pwsh: str, tmp_path: Path) -> None:
    """Whenever the first connection arrives, the listener starts."""
    port = free_port()
    (tmp_path / "starts.ps1").write_text(SCRIPT)
    clients = [multiprocessing.Process(target=_connect_for_ever, args=(port,), daemon=True) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        done = subprocess.run(
            [pwsh, "-NoProfile", "-NonInteractive", "-File", str(tmp_path / "starts.ps1"), str(START.parent / "Http.psm1"),
             f"http://127.0.0.1:{port}/", str(STARTS)],
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
    finally:
        for client in clients:
            client.kill()
            client.join()

    assert done.returncode == 0, done.stdout + done.stderr
