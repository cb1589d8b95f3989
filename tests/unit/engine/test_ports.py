"""Naming the process on a port, with real sockets on ports that the kernel picks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from build.engine import ports
from tests.support.stack import free_port

HOLD = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_port_without_listener_is_free() -> None:
    """A port that was just given back has no owner."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ports.listener(port) is None


def test_the_other_process_is_named() -> None:
    """The message names the program and its pid, so that a person knows what to stop."""
    argv, pipe = [sys.executable, "-c", HOLD], subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        name = Path(f"/proc/{other.pid}/comm").read_text().strip()
        assert ports.listener(port) == f"{name} (pid {other.pid})"
        other.communicate("")
    assert ports.listener(port) is None


def test_the_lookup_without_proc_agrees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no /proc, a taken port is still distinguished from a free one."""
    monkeypatch.setattr(ports, "_PROC", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert str(ports.listener(port)).endswith((f"(pid {os.getpid()})", "another process"))
    assert ports.listener(port) is None


@pytest.mark.parametrize(
    ("bound", "asked", "taken"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.9", "127.0.0.1", False),
        ("127.0.0.9", "127.0.0.9", True),
        ("::1", "127.0.0.1", False),
        ("::", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
    ],
)
def test_only_an_address_that_collides_counts(bound: str, asked: str, taken: bool) -> None:
    """A registry on 127.0.0.9:5000 does not block one on 127.0.0.1:5000."""
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    try:
        server = socket.create_server((bound, 0), family=family, dualstack_ipv6=bound in {"::", "::ffff:127.0.0.1"})
    except OSError:
        if family == socket.AF_INET6:
            pytest.skip("no IPv6 on this machine")
        raise
    with server:
        assert (ports.listener(server.getsockname()[1], asked) is not None) == taken


def test_the_tests_get_no_port_twice() -> None:
    """Two services of a test's project never share a port, though the kernel names free ones again."""
    assert len({free_port() for _ in range(1000)}) == 1000
