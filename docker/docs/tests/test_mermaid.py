"""Mermaid is had from registries that stumble, and only as the lock file pins it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from docs_rig import Outcome, fetch_mermaid

SCRIPT = b"window.mermaid = {};\n"
# A slow machine's npm needs seconds to start; a stalled download lasts until this limit.
LIMIT = {"DOCS_NPM_SECONDS": "8"}


def _archive(script: bytes) -> bytes:
    """A package's archive, of the same bytes whenever it is made."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        about = b'{"name": "mermaid", "version": "1.0.0"}'
        for name, content in (("package.json", about), ("dist/mermaid.min.js", script)):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _integrity(archive: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(archive).digest()).decode()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def do_GET(self) -> None:
        if not self.path.endswith(".tgz"):
            self._send(200, self.registry.packument())
            return
        fault = self.registry.faults.pop(0) if self.registry.faults else ""
        self.registry.downloads += 1
        archive = self.registry.archive
        if fault.isdigit():
            self._send(int(fault), b"{}")
        elif fault:
            self.send_response(200)
            self.send_header("Content-Length", str(len(archive)))
            self.end_headers()
            self.wfile.write(archive[: len(archive) // 2])
            self.wfile.flush()
            self.close_connection = True
            if fault == "stalls":
                self.registry.over.wait(60)
        else:
            self._send(200, archive)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The tests look at what was downloaded."""


class Registry:
    """An npm registry that has one package; each download takes the next of `faults`, then all is well."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.downloads = 0
        self.archive = _archive(SCRIPT)
        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def packument(self) -> bytes:
        dist = {"tarball": f"{self.url}/mermaid/-/mermaid-1.0.0.tgz", "integrity": _integrity(self.archive)}
        versions = {"1.0.0": {"name": "mermaid", "version": "1.0.0", "dist": dist}}
        return json.dumps({"name": "mermaid", "dist-tags": {"latest": "1.0.0"}, "versions": versions}).encode()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry on loopback."""
    one = Registry()
    yield one
    one.close()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file that pins the one version by its hash."""
    pinned = {"node_modules/mermaid": {"version": "1.0.0", "integrity": _integrity(_archive(SCRIPT))}}
    file = tmp_path / "package-lock.json"
    file.write_text(json.dumps({"lockfileVersion": 3, "packages": pinned}))
    return file


def _fetch(registry: Registry, lock: Path) -> Outcome:
    return fetch_mermaid(lock, lock.with_name("out.js"), npm_config_registry=registry.url, **LIMIT)


@pytest.mark.parametrize("fault", ["stalls", "breaks off", "503", "429"])
def test_a_download_that_fails_is_made_again(registry: Registry, lock: Path, fault: str) -> None:
    """One bad answer of a registry costs a build some seconds, not the image."""
    registry.faults = [fault]

    done = _fetch(registry, lock)

    assert done.code == 0, done.text
    assert lock.with_name("out.js").read_bytes() == SCRIPT
    assert "attempt 1 of 4" in done.text
    assert registry.downloads == 2


@pytest.mark.parametrize("status", ["401", "404"])
def test_a_refusal_is_final(registry: Registry, lock: Path, status: str) -> None:
    """What the registry refuses is told at once, with its status, and not asked for again."""
    registry.faults = [status] * 9

    done = _fetch(registry, lock)

    assert done.code == 1
    assert status in done.text
    assert registry.downloads == 1


def test_other_bytes_are_refused(registry: Registry, lock: Path) -> None:
    """A registry that has other bytes under the version, and is at one with itself about them, gets nothing in."""
    registry.archive = _archive(b"steal();")

    done = _fetch(registry, lock)

    assert done.code == 3
    assert _integrity(registry.archive) in done.text
    assert "package-lock.json wants" in done.text
    assert not lock.with_name("out.js").exists()


def test_a_registry_that_is_away_is_named(lock: Path) -> None:
    """After the last attempt the reason stands in the log."""
    done = fetch_mermaid(lock, lock.with_name("out.js"), npm_config_registry="http://127.0.0.1:1", **LIMIT)

    assert done.code == 1
    assert "attempt 4 of 4" in done.text
    assert "ECONNREFUSED" in done.text
