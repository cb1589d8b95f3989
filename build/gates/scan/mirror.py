"""Trivy from a mirror of its releases: fetched once, refused unless it has the hash that versions.toml names."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import ssl
import tarfile
import zipfile
from pathlib import Path

from build.config.manifest import Tools
from build.errors import MissingTool
from build.waiting import waiting

_SECONDS = 30
_PROGRAMS = ("trivy", "trivy.exe")


def url(tools: Tools, system: str) -> str:
    """The address of the archive for a system."""
    return tools.trivy_mirror.replace("{system}", system).replace("{archive}", _archive(system))


def _archive(system: str) -> str:
    return "zip" if system.startswith("windows") else "tar.gz"


def path(tools: Tools, folder: Path, system: str) -> Path:
    """Where the program is, or will be: another hash is another place. Raises MissingTool without a hash for it."""
    if not (expected := tools.trivy_sha256.get(system)):
        message = f"[tools] trivy_mirror is set, and [tools.trivy_sha256] has no hash for {system}"
        raise MissingTool(message, hint=f'"{system}" = "…", from the checksums file of that release')
    return folder / f"trivy-{expected[:16]}" / ("trivy.exe" if system.startswith("windows") else "trivy")


def provide(tools: Tools, folder: Path, system: str) -> Path:
    """The path of the program, fetched if it is not there yet.

    Raises MissingTool when the mirror does not have it, has something else, or no hash for this system is configured.
    """
    program = path(tools, folder, system)
    if program.exists():
        return program
    address = url(tools, system)
    with waiting(f"fetching {address}"):
        content = _download(address)
    expected, found = tools.trivy_sha256[system], hashlib.sha256(content).hexdigest()
    if found != expected:
        message = f"{address} has the SHA-256 {found}, and [tools.trivy_sha256] expects {expected}"
        raise MissingTool(message, hint="find out which of them is wrong before you change the hash")
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_name(f"{program.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(_unpacked(content, address))
        unfinished.chmod(0o755)
        unfinished.replace(program)
    finally:
        unfinished.unlink(missing_ok=True)
    return program


def _download(address: str) -> bytes:
    import httpx

    hint = "is [tools] trivy_mirror right? {system} and {archive} in it are replaced"
    try:
        context = ssl.create_default_context()
        response = httpx.get(address, follow_redirects=True, timeout=_SECONDS, verify=context)
        response.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise MissingTool(f"Trivy can't be fetched: {error or type(error).__name__}", hint=hint) from None
    return response.content


def _unpacked(content: bytes, address: str) -> bytes:
    """The program in an archive of Trivy's releases, or the content itself where that is no archive."""
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if Path(member.name).name in _PROGRAMS and (file := archive.extractfile(member)):
                return file.read()
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                if Path(name).name in _PROGRAMS:
                    return packed.read(name)
    raise MissingTool(f"{address} is not an archive with the program trivy in it", hint="[tools] trivy_mirror")
