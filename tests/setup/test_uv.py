"""Set-ups that uv makes: under the settings that a person has for pip, and by pip where uv can't."""

from __future__ import annotations

import base64
import http.server
import ssl
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.setup.inv_project import Project, uv_files, wheel
from tests.support.certificates import certify

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX script")
LOGIN = "person:word"


def test_uv_installs_what_pip_did_not(uv_project: Project) -> None:
    """pip fetches uv alone; the rest is uv's work."""
    code, out, err = uv_project.run("show")
    assert (code, f"root={uv_project.root}" in out) == (0, True), err
    assert uv_project.packages == {"invoke", "uv"}
    assert "Successfully installed uv-1.0\n" in uv_project.log
    assert " + invoke==1.0" in uv_project.log
    assert "uv can't" not in err


@pytest.mark.parametrize("kind", ["of another machine", "broken"])
def test_where_uv_can_not_run_pip_does_all(uv_project: Project, tmp_path: Path, kind: str) -> None:
    """No uv for this machine, or one that it can't run: pip installs the rest, and says that this takes longer."""
    own = tmp_path / "wheels"
    line = (uv_project.root / "requirements.txt").read_text().splitlines(keepends=True)[0]
    if kind == "broken":
        uv = wheel(own, "uv", {"uv-1.0.data/scripts/uv": b"\x7fELF of another machine"})
    else:
        uv = wheel(own, "uv", uv_files(), tag="py3-none-win_arm64")
    (own / "invoke-1.0-py3-none-any.whl").symlink_to(uv_project.wheels / "invoke-1.0-py3-none-any.whl")
    uv_project.environment["PIP_FIND_LINKS"] = str(own)
    uv_project.lock(line, uv)

    code, out, err = uv_project.run("show")

    assert (code, f"root={uv_project.root}" in out) == (0, True), err
    assert "uv can't install them: pip does" in err
    assert "invoke" in uv_project.packages
    assert ("uv" in uv_project.packages) == (kind == "broken")


class Index(http.server.SimpleHTTPRequestHandler):
    """A package index that wants a login; notes who asked for what."""

    def __init__(self, *arguments: object, asked: set[str], **options: object) -> None:
        self.asked = asked
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        login = base64.b64encode(LOGIN.encode()).decode()
        if self.headers.get("Authorization") != f"Basic {login}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.end_headers()
            return
        self.asked.add(f"{self.headers['User-Agent'].partition('/')[0]} {self.path.strip('/').rpartition('/')[2]}")
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """The test looks at what was asked."""


@pytest.fixture
def index(tmp_path: Path, uv_project: Project) -> Iterator[tuple[str, set[str], Path]]:
    """The URL of an index by TLS with a login in it, who asked it for what, and the CA of its certificate."""
    for name in ("invoke", "uv"):
        folder = tmp_path / "index" / "simple" / name
        folder.mkdir(parents=True)
        file = f"{name}-1.0-py3-none-any.whl"
        (folder / file).symlink_to(uv_project.wheels / file)
        (folder / "index.html").write_text(f'<a href="{file}">{file}</a>')
    authority = certify(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    asked: set[str] = set()
    handler = partial(Index, asked=asked, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"https://{LOGIN}@localhost:{server.server_port}/simple", asked, authority.ca
        server.shutdown()


@pytest.mark.parametrize("place", ["file", "variables"])
def test_the_index_that_pip_is_configured_with(
    uv_project: Project, tmp_path: Path, index: tuple[str, set[str], Path], place: str
) -> None:
    """An index of one's own, with its login and certificate, is asked by both, and its login is in no log."""
    url, asked, ca = index
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        uv_project.environment.pop(name, None)
    if place == "file":
        text = f"[global]\nindex-url = {url}\ncert = {ca}\nextra-index-url =\nfind-links =\n"
        (tmp_path / "pip.conf").write_text(text)
        uv_project.environment["PIP_CONFIG_FILE"] = str(tmp_path / "pip.conf")
    else:
        uv_project.environment |= {"PIP_INDEX_URL": url, "PIP_CERT": str(ca)}

    code, out, err = uv_project.run("show")

    assert (code, f"root={uv_project.root}" in out) == (0, True), err + uv_project.log
    assert {"pip uv", "uv invoke"} <= asked
    assert "pip invoke" not in asked
    assert LOGIN not in uv_project.log + err
