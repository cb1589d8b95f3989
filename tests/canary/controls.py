"""Positive controls: canaries hidden as they might be in an image, each of which a search has to find."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.canary.canaries import MARK
from tests.canary.processes import Sampler
from tests.canary.search import Found

_SECRET = f"{MARK}control".encode()


def tar(name: str, data: bytes) -> bytes:
    """A tar archive with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    """A zip archive, as a wheel is, with one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "--stdout"], input=data, capture_output=True, check=True).stdout


def _nested(data: bytes) -> bytes:
    """Six deep: the last of what a search opens."""
    for pack in (lambda inner: tar("a", inner), gzip.compress, lambda inner: zipped("b", inner), lzma.compress):
        data = pack(data)
    return gzip.compress(tar("c", data))


_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda secret: b"x" * 100_000 + secret,
    "hexadecimal": lambda secret: secret.hex().encode(),
    "UTF-16": lambda secret: secret.decode().encode("utf-16-le"),
    **{f"base64 after {n}": lambda secret, n=n: base64.b64encode(b"u" * n + secret + b"@host") for n in range(3)},  # type: ignore[misc]  # a lambda with a default
    "base64 in base64": lambda secret: base64.b64encode(b'{"auth":"' + base64.b64encode(b"user:" + secret) + b'"}'),
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _zstd,
    "a wheel in a layer": lambda secret: gzip.compress(tar("x.whl", zipped("x/pip.conf", secret))),
    "a zip in a tar in zstd": lambda secret: _zstd(tar("a.zip", zipped("b", secret))),
    "six deep": _nested,
    "a deleted file of a lower layer": lambda secret: gzip.compress(tar("etc/pip.conf", b"index-url=" + secret)),
}


def missed() -> list[str]:
    """The controls that a search does not find, and whatever it finds where nothing is."""
    wrong = []
    for name, form in _FORMS.items():
        found, clean = Found(), Found()
        found.read(name, form(_SECRET))
        clean.read(name, form(b"nothing that is secret, and as long as that"))
        wrong += [name] * (not found.hits) + [f"{name}, where nothing is"] * bool(clean.hits)
    return wrong


def missed_processes(folder: Path) -> list[str]:
    """The controls of processes that a sampler does not see, while it runs for as long as a package is installed."""
    wrong = []
    program = "import time; time.sleep(0.3)"
    secret = _SECRET.decode()
    for name, argv, environment in (
        ("an environment", [sys.executable, "-c", program], {"UV_DEFAULT_INDEX": f"https://user:{secret}@host/"}),
        ("a command line", [sys.executable, "-c", program, secret], {}),
    ):
        with Sampler() as sampler:
            subprocess.run(argv, env=os.environ | environment, cwd=folder, check=True)
            time.sleep(0.05)  # what was read last is searched in another thread
        wrong += [name] * (not sampler.found.hits)
    return wrong
