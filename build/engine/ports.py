"""Which process listens on a port of this machine; checked before a container publishes it."""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from build.process import run

_PROC = Path("/proc")
_LISTEN = "0A"


def listener(port: int, address: str = "127.0.0.1") -> str | None:
    """The process that occupies `address`:`port`, as "python3 (pid 4711)"; None when the port is free.

    A listener on another loopback address does not count, one on all addresses does. When the process belongs to
    another user and its name can't be read, the text says so.
    """
    if not (_PROC / "net/tcp").exists():
        return _listener_without_proc(port, address)
    inodes = {inode for local, inode in _listening(port) if _collide(local, address)}
    if not inodes:
        return None
    return _owner(inodes) or "a process of another user (sudo ss -ltnp names it)"


def _listening(port: int) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, str]]:
    """The local address and the socket's inode of every listener on the port."""
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in (_PROC / table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, local_port = fields[1].rpartition(":")
                if fields[3] == _LISTEN and int(local_port, 16) == port:
                    yield _parsed(address), fields[9]


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel prints it: 32-bit words in the machine's byte order."""
    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return getattr(address, "ipv4_mapped", None) or address


def _collide(local: ipaddress.IPv4Address | ipaddress.IPv6Address, address: str) -> bool:
    wanted = ipaddress.ip_address(address)
    return local == wanted or local.is_unspecified or (wanted.is_unspecified and local.version == wanted.version)


def _owner(inodes: set[str]) -> str | None:
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in links:
                        return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _listener_without_proc(port: int, address: str) -> str | None:
    """On systems without /proc: try to bind the port, then ask lsof (macOS has it) which process holds it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            pass
        else:
            return None
    if shutil.which("lsof"):
        argv = ["lsof", "-nP", "-Fpc", f"-iTCP:{port}", "-sTCP:LISTEN"]
        fields = {line[0]: line[1:] for line in run(argv, ok_codes=(0, 1), timeout=10).stdout.splitlines() if line}
        if {"p", "c"} <= fields.keys():
            return f"{fields['c']} (pid {fields['p']})"
    return "another process"
