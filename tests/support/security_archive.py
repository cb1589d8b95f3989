"""Debian's security updates as a site may mirror them: a small archive that is signed, and served on loopback."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from tests.support import debian

_PACKAGE = (
    "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Test <test@example.invalid>\n"
    "Filename: pool/{name}.deb\nSize: 1\nSHA256: {digest}\nDescription: A test\n\n"
)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive: its folder, the folder of the keys that sign it, its address and what serves it."""

    folder: Path
    keys: Path
    address: str
    server: http.server.ThreadingHTTPServer

    def stop(self) -> None:
        """Serve nothing any more: the port is closed."""
        self.server.shutdown()
        self.server.server_close()

    @property
    def packages(self) -> Path:
        """The index of its packages."""
        return self.folder / "debian-security/dists/trixie-security/main/binary-amd64/Packages"

    def publish(self, versions: Mapping[str, str], *, age: timedelta = timedelta(hours=1), days: int = 7) -> None:
        """Write and sign the suite as it was made `age` ago, valid for some days."""
        index = "".join(
            _PACKAGE.format(name=name, version=version, digest="0" * 64) for name, version in sorted(versions.items())
        )
        self.packages.parent.mkdir(parents=True, exist_ok=True)
        self.packages.write_text(index)
        made = datetime.now(UTC) - age
        digest = hashlib.sha256(index.encode()).hexdigest()
        release = (
            "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nCodename: trixie-security\n"
            f"Date: {format_datetime(made, usegmt=True)}\n"
            f"Valid-Until: {format_datetime(made + timedelta(days=days), usegmt=True)}\n"
            "Architectures: amd64\nComponents: main\n"
            f"SHA256:\n {digest} {len(index)} main/binary-amd64/Packages\n"
        ).replace("GMT", "UTC")
        suite = self.packages.parents[2]
        (suite / "InRelease").unlink(missing_ok=True)
        (suite / "Release").write_text(release)
        _gpg(self.keys, "--clearsign", "--output", str(suite / "InRelease"), str(suite / "Release"))
        (suite / "Release").unlink()

    def configure(self, folder: Path) -> Path:
        """Write the sources of an apt that is configured with the archive; return their folder."""
        (folder / "sources.list.d").mkdir(parents=True)
        (folder / "sources.list.d/security.sources").write_text(
            f"Types: deb\nURIs: {self.address}\nSuites: bookworm-security\nComponents: main\n"
            f"Signed-By: {self.keys / 'public.gpg'}\n"
        )
        return folder


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Archive]:
    """Serve an archive without a suite, and make the keys of its owner, until the block ends."""
    archive, keys = folder / "archive", folder / "keys"
    archive.mkdir()
    keys.mkdir(mode=0o700)
    _gpg(keys, "--quick-generate-key", "Test <test@example.invalid>", "ed25519", "sign", "never")
    _gpg(keys, "--export", "--output", str(keys / "public.gpg"))
    handler = functools.partial(_Quiet, directory=str(archive))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Archive(archive, keys, f"http://127.0.0.1:{server.server_address[1]}/debian-security", server)
        finally:
            server.shutdown()


def _gpg(keys: Path, *arguments: str) -> None:
    gpg = debian.program("gpg", "gpg", "usr/bin/gpg")
    argv = [gpg.path, "--homedir", str(keys), "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*argv, *arguments], env=gpg.environment, check=True, capture_output=True, text=True)
