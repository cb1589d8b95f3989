"""A disk without file modes: everything on it is 0777, and chmod has no effect, as on a Windows drive in WSL.

A program of its own: `python -m tests.support.modeless FOLDER COMMAND …` mounts the disk at FOLDER, runs COMMAND and exits
with its code. It is a file system in memory that speaks the kernel's FUSE protocol, so it takes no package and no kernel
module: https://www.kernel.org/doc/html/latest/filesystems/fuse.html, include/uapi/linux/fuse.h. Run it behind
`machine.own_namespaces()`: the mount is gone when it ends.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_DISK = 1  # the node id of its root
_BUFFER = 1 << 17
_MAX_WRITE = 1 << 16
_SIZE_CHANGES = 8  # of the bits that say what a SETATTR changes
_SILENT = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET: the kernel expects no answer


@dataclass(slots=True)
class _Node:
    """A folder with its entries, or a file with its content."""

    entries: dict[bytes, int] | None = None
    content: bytearray = field(default_factory=bytearray)


class _Disk:
    """The nodes of the disk by id, and an answer to each request."""

    def __init__(self) -> None:
        self._nodes = {_DISK: _Node(entries={})}
        self._ids = itertools.count(2)
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup, 3: lambda node, _: self._attributes(node), 4: self._change, 8: self._make_file,
            9: self._make_folder, 10: self._remove, 11: self._remove, 12: self._rename, 14: self._open, 15: self._read,
            16: self._write, 17: self._space, 18: self._nothing, 20: self._nothing, 25: self._nothing,
            26: self._start, 27: self._open, 28: self._list, 29: self._nothing, 30: self._nothing, 35: self._create,
            45: self._rename,
        }  # fmt: skip

    def answer(self, kind: int, node: int, body: bytes) -> bytes:
        """The answer to a request. Raises OSError for what the disk refuses, or does not know."""
        if kind not in self._answers:
            raise OSError(errno.ENOSYS, "unknown")
        return self._answers[kind](node, body)

    def _start(self, _node: int, _body: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 10, _MAX_WRITE, 1, 0, 0, 0)

    def _nothing(self, _node: int, _body: bytes) -> bytes:
        return b""

    def _folder(self, node: int) -> dict[bytes, int]:
        entries = self._nodes[node].entries
        if entries is None:
            raise OSError(errno.ENOTDIR, "not a folder")
        return entries

    def _entry(self, number: int) -> bytes:
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + self._attribute(number)

    def _attribute(self, number: int) -> bytes:
        node = self._nodes[number]
        mode = 0o777 | (stat.S_IFREG if node.entries is None else stat.S_IFDIR)
        size = len(node.content)
        return struct.pack("<6Q10I", number, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _attributes(self, number: int) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attribute(number)

    def _lookup(self, node: int, body: bytes) -> bytes:
        if (number := self._folder(node).get(body.rstrip(b"\0"))) is None:
            raise OSError(errno.ENOENT, "no such entry")
        return self._entry(number)

    def _change(self, number: int, body: bytes) -> bytes:
        """The attributes as before, whatever mode or owner is asked for; a size takes effect."""
        what, _, _, size = struct.unpack_from("<IIQQ", body)
        if what & _SIZE_CHANGES:
            content = self._nodes[number].content
            content[:] = content[:size].ljust(size, b"\0")
        return self._attributes(number)

    def _add(self, folder: int, name: bytes, node: _Node) -> bytes:
        number = next(self._ids)
        self._nodes[number] = node
        self._folder(folder)[name.rstrip(b"\0")] = number
        return self._entry(number)

    def _make_file(self, folder: int, body: bytes) -> bytes:
        return self._add(folder, body[16:], _Node())

    def _make_folder(self, folder: int, body: bytes) -> bytes:
        return self._add(folder, body[8:], _Node(entries={}))

    def _create(self, folder: int, body: bytes) -> bytes:
        return self._add(folder, body[16:], _Node()) + self._open(folder, body)

    def _open(self, _node: int, _body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0)

    def _remove(self, folder: int, body: bytes) -> bytes:
        entries, name = self._folder(folder), body.rstrip(b"\0")
        if self._nodes[entries[name]].entries:
            raise OSError(errno.ENOTEMPTY, "not empty")
        del entries[name]  # its node stays: a program may have it open
        return b""

    def _rename(self, folder: int, body: bytes) -> bytes:
        target = struct.unpack_from("<Q", body)[0]
        old, new = body.rstrip(b"\0").split(b"\0")[-2:]  # before them, the flags of a RENAME2 end in zeros
        self._folder(target)[new] = self._folder(folder).pop(old)
        return b""

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self._nodes[node].content[offset : offset + size])

    def _write(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        content = self._nodes[node].content
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + size] = body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def _list(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        listing = b""
        for position, (name, number) in enumerate(self._folder(node).items(), start=1):
            entry = struct.pack("<QQII", number, position, len(name), 0) + name
            entry += bytes(-len(entry) % 8)
            if position > offset and len(listing) + len(entry) <= size:
                listing += entry
        return listing

    def _space(self, _node: int, _body: bytes) -> bytes:
        return struct.pack("<5Q4I24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0)


def _serve(device: int) -> None:
    """Answer the kernel's requests until the disk is unmounted."""
    disk = _Disk()
    while True:
        try:
            request = os.read(device, _BUFFER)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            raise
        _, kind, number, node = struct.unpack_from("<IIQQ", request)
        if kind in _SILENT:
            continue
        code, answer = 0, b""
        try:
            answer = disk.answer(kind, node, request[40:])
        except OSError as error:
            code = -(error.errno or errno.EIO)
        os.write(device, struct.pack("<IiQ", 16 + len(answer), code, number) + answer)


def _mount(device: int, folder: Path) -> None:
    options = f"fd={device},rootmode=40777,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"modeless", bytes(folder), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "the disk can't be mounted", str(folder))


def main(folder: Path, command: list[str]) -> int:
    """Run the command while the disk is mounted at `folder`; its exit code."""
    device = os.open("/dev/fuse", os.O_RDWR)
    _mount(device, folder)
    server = os.fork()
    if not server:
        _serve(device)
        os._exit(0)
    os.close(device)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        os.kill(server, 9)
        os.waitpid(server, 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
