"""apt, as the toolkit calls it, against a mirror whose downloads break off."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build.engine.apt import options

BROKEN = 3
PACKAGE = b"a package, as far as apt download cares" * 1000
INDEX = f"""\
Package: sample
Version: 1.0
Architecture: all
Maintainer: Test <test@example.invalid>
Filename: ./sample_1.0_all.deb
Size: {len(PACKAGE)}
SHA256: {hashlib.sha256(PACKAGE).hexdigest()}
Description: sample
"""
pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="apt is Debian's")


class Mirror(BaseHTTPRequestHandler):
    """A flat repository that breaks off the first downloads of its package."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        """The index or the package; nothing else is there."""
        body = {"/Packages": INDEX.encode(), "/sample_1.0_all.deb": PACKAGE}.get(self.path.replace("/./", "/"))
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.path.endswith(".deb"):
            self.asked.append(self.path)
            if len(self.asked) <= BROKEN:
                self.wfile.write(PACKAGE[:100])
                self.close_connection = True
                return
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def mirror() -> Iterator[tuple[str, list[str]]]:
    """The URL of the mirror, and the requests for its package."""
    asked: list[str] = []
    handler = type("Handler", (Mirror,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_a_package_that_breaks_off_is_downloaded_again(mirror: tuple[str, list[str]], tmp_path: Path) -> None:
    """The options that every call of apt gets make it ask again, until the package is whole."""
    url, asked = mirror
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "here"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "state/status").touch()
    (tmp_path / "etc/sources.list").write_text(f"deb [trusted=yes] {url} ./\n")
    places = [
        f"Dir::State={tmp_path}/state", f"Dir::State::status={tmp_path}/state/status", f"Dir::Cache={tmp_path}/cache",
        f"Dir::Etc={tmp_path}/etc", "APT::Sandbox::User=", "Acquire::http::Proxy=DIRECT",
    ]  # fmt: skip
    apt = ["apt-get", *options(*places)]

    for arguments in (["update"], ["download", "sample"]):
        subprocess.run([*apt, *arguments], cwd=tmp_path / "here", check=True, timeout=120, capture_output=True)

    assert (tmp_path / "here/sample_1.0_all.deb").read_bytes() == PACKAGE
    assert len(asked) == BROKEN + 1
