"""Which Trivy is run: the order of its sources, and what must be right about each."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build.config.manifest import Tools
from build.errors import ManifestError, MissingTool
from build.gates.scan import program
from tests.support.project import Project

VERSION = '#!/bin/sh\necho "Version: {}"\n'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Trivy: folders for the environment's programs and for those on PATH."""
    for name in ("venv", "path"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("sys.executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin")
    return tmp_path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of tmp_path/releases."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "releases").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "releases")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def put(folder: Path, version: str) -> str:
    """Put a program that says it is Trivy of that version into the folder; its path."""
    path = folder / "trivy"
    path.write_text(VERSION.format(version))
    path.chmod(0o755)
    return str(path)


def tarball(name: str, content: bytes) -> bytes:
    """A compressed archive as Trivy's releases are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for member, text in (("README.md", b"text"), (name, content)):
            entry = tarfile.TarInfo(member)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    """The same for Windows."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("README.md", "text")
        archive.writestr(name, content)
    return packed.getvalue()


def tools(**more: object) -> Tools:
    """The settings, with these of Trivy's."""
    return Tools(engine="0", buildx="0", compose="0", **more)  # type: ignore[arg-type]


def mirrored(served: str, content: bytes) -> Tools:
    """Settings of the mirror, with the hash of the content for this system."""
    digest = hashlib.sha256(content).hexdigest()
    return tools(trivy_mirror=f"{served}/trivy_{{system}}.{{archive}}", trivy_sha256={program.system(): digest})


def test_w1_the_locked_one_comes_first(machine: Path) -> None:
    """The pinned Trivy beside the interpreter is used, whatever PATH has; else the one on PATH."""
    beside, on_path = put(machine / "venv", "0.76.0"), put(machine / "path", "0.99.0")

    assert program.find(tools(), machine) == program.Program(source="this environment", place=beside)
    Path(beside).unlink()
    assert program.find(tools(), machine) == program.Program(source="PATH", place=on_path)


def test_w1_an_old_one_on_path_is_not_used(machine: Path) -> None:
    """It would be called with flags that it does not have: the message names its version and the one that is needed."""
    path = put(machine / "path", "0.50.1")

    with pytest.raises(MissingTool, match=rf"Trivy 0\.76 or newer is needed, and {path} is 0\.50\.1"):
        program.find(tools(), machine)
    put(machine / "path", "0.76.0")
    assert program.find(tools(), machine).source == "PATH"


def test_w1_none_at_all_is_named_with_the_ways_to_get_one(machine: Path) -> None:
    """Without a program and without settings, the hint has the settings."""
    with pytest.raises(MissingTool, match="neither here nor on PATH") as refusal:
        program.find(tools(), machine)
    assert "trivy_mirror or trivy_image" in refusal.value.hint


@pytest.mark.parametrize("pack", [tarball, zipped])
def test_w1_a_mirror_is_asked_once(machine: Path, served: str, pack: object) -> None:
    """What has the configured hash is unpacked and kept, and used although the mirror is away."""
    content = pack("trivy", VERSION.format("0.76.0").encode())  # type: ignore[operator]
    settings = mirrored(served, content)
    archive = machine / "releases" / f"trivy_{program.system()}.tar.gz"
    archive.write_bytes(content)

    before = program.examine(settings, machine / "tools")
    found = program.find(settings, machine / "tools")
    archive.unlink()

    assert before.found.startswith("not fetched yet, mirror: http://127.0.0.1:")
    assert (found.source, program.version(found.place)) == ("mirror", "0.76.0")
    assert program.find(settings, machine / "tools") == found
    assert program.examine(settings, machine / "tools").found.startswith("0.76.0, mirror: ")


def test_w1_other_content_is_refused(machine: Path, served: str) -> None:
    """A mirror that has something else gives nothing that is run, and both hashes are named."""
    settings = mirrored(served, b"what was checked")
    (machine / "releases" / f"trivy_{program.system()}.tar.gz").write_bytes(tarball("trivy", b"something else"))

    with pytest.raises(MissingTool, match=r"has the SHA-256 .* expects"):
        program.find(settings, machine / "tools")
    assert not list((machine / "tools").rglob("*"))


@pytest.mark.parametrize(
    ("content", "listed", "words"),
    [
        (None, True, "can't be fetched: Client error '404 File not found'"),
        (tarball("readme", b""), True, "not an archive with the program trivy in it"),
        (b"text", True, "not an archive with the program trivy in it"),
        (b"text", False, "no hash for"),
    ],
)
def test_w1_a_mirror_without_trivy_is_named(
    machine: Path, served: str, content: bytes | None, listed: bool, words: str
) -> None:
    """A missing archive, another one, and a system without a hash each have their own message."""
    settings = mirrored(served, content or b"")
    if content is not None:
        (machine / "releases" / f"trivy_{program.system()}.tar.gz").write_bytes(content)
    if not listed:
        settings = tools(trivy_mirror=settings.trivy_mirror)

    with pytest.raises(MissingTool, match=words):
        program.find(settings, machine / "tools")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('trivy_mirror = "mirror.example/trivy"', r"tools\.trivy_mirror: expected an http\(s\) address with {system}"),
        ('trivy_sha256 = { "macos-ARM64" = "x" }', r"expected one of Linux-64bit, .*macOS-ARM64"),
        ('trivy_sha256 = { "macOS-ARM64" = "x" }', "expected 64 hex digits, found 'x'"),
    ],
)
def test_a_wrong_setting_of_the_mirror_is_refused(project: Project, settings: str, words: str) -> None:
    """Before any task, with the key."""
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace("[registry]", f"{settings}\n\n[registry]"))

    with pytest.raises(ManifestError, match=words):
        project.load()
