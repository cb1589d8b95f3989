"""What makes an image another image, and what does not."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from build import context_walk
from build.git.inputs import Inputs
from build.images import fingerprint
from build.images.bake_file import Target
from build.images.contents import Reader

BASES = {"docker-image://base": "sha256:1"}


@pytest.fixture
def targets(tmp_path: Path) -> dict[str, Any]:
    """One service on one shared stage, each with a folder."""
    for name in ("web", "stage", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text("FROM base\n")
        (tmp_path / name / "a.txt").write_text("a")
    return {
        "web": {
            "context": str(tmp_path / "web"),
            "contexts": {"base": "docker-image://base", "shared": "target:stage", "docs": str(tmp_path / "docs")},
            "args": {"A": "1", "SOURCE_DATE_EPOCH": "1"},
            "secret": ["id=ca,src=/x"],
            "labels": {"revision": "abc"},
            "tags": ["web:1"],
        },
        "stage": {"context": str(tmp_path / "stage"), "contexts": {"base": "docker-image://base"}, "secret": []},
    }


def _of(targets: dict[str, Any], bases: dict[str, str] = BASES) -> str:
    return fingerprint.of_target(targets, "web", bases, Reader(Inputs()))


CHANGES: dict[str, Callable[[dict[str, Any], Path], object]] = {
    "a file": lambda _t, root: (root / "web/a.txt").write_text("b"),
    "a new file": lambda _t, root: (root / "web/b.txt").write_text("b"),
    "a renamed file": lambda _t, root: (root / "web/a.txt").rename(root / "web/c.txt"),
    "an executable bit": lambda _t, root: (root / "web/a.txt").chmod(0o755),
    "a link": lambda _t, root: (root / "web/l").symlink_to("a.txt"),
    "the Dockerfile": lambda _t, root: (root / "web/Dockerfile").write_text("FROM other\n"),
    "a source": lambda _t, root: (root / "docs/a.txt").write_text("b"),
    "the shared stage": lambda _t, root: (root / "stage/a.txt").write_text("b"),
    "an argument": lambda t, _root: t["web"]["args"].update(A="2"),
    "the secrets' names": lambda t, _root: t["web"]["secret"].append("id=new,src=/y"),
    "the target stage": lambda t, _root: t["web"].update(target="other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_content_changes_the_fingerprint(targets: dict[str, Any], tmp_path: Path, change: str) -> None:
    """Each thing that can change an image's content changes its fingerprint."""
    before = _of(targets)
    CHANGES[change](targets, tmp_path)

    assert _of(targets) != before


def test_another_base_digest_is_another_image(targets: dict[str, Any]) -> None:
    """A base that moved rebuilds what stands on it."""
    assert _of(targets, {"docker-image://base": "sha256:2"}) != _of(targets)


def test_the_commit_is_no_content(targets: dict[str, Any]) -> None:
    """Labels, tags, the commit's time and where a secret's file lies change no content."""
    before = _of(targets)
    targets["web"] |= {"labels": {"revision": "def"}, "tags": ["web:2"], "secret": ["id=ca,src=/else,where"]}
    targets["web"]["args"]["SOURCE_DATE_EPOCH"] = "2"

    assert _of(targets) == before


def test_ignored_files_do_not_count(targets: dict[str, Any], tmp_path: Path) -> None:
    """What .dockerignore keeps out of the context is not content."""
    (tmp_path / "web/.dockerignore").write_text("**/__pycache__\n")
    before = _of(targets)
    (tmp_path / "web/__pycache__").mkdir()
    (tmp_path / "web/__pycache__/x.pyc").write_text("x")

    assert _of(targets) == before


def test_a_context_keeps_its_dockerfile_and_ignore_file(tmp_path: Path) -> None:
    """A .dockerignore that excludes everything does not exclude these two: bake reads them."""
    for name in ("Dockerfile", "app.py"):
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("*\n")

    assert set(context_walk.sent_from(tmp_path, "Dockerfile")) == {"Dockerfile", ".dockerignore"}


def test_a_file_that_is_included_again_counts(tmp_path: Path) -> None:
    """A folder that .dockerignore excludes is still searched for the files that a later rule includes."""
    (tmp_path / "docs").mkdir()
    for name in ("docs/kept.md", "docs/dropped.md"):
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("docs\n!docs/kept.md\n")

    assert set(context_walk.sent_from(tmp_path)) == {".dockerignore", "docs/kept.md"}


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
def test_a_socket_is_not_read(targets: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket or pipe in a context counts by its name and kind; it has no content."""
    before = _of(targets)
    monkeypatch.chdir(tmp_path / "web")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("agent.sock")

    assert _of(targets) != before


def test_a_file_that_goes_away_while_it_is_read_does_not_count(
    targets: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor's temporary file, listed and gone, is no crash of a build and changes nothing."""
    before = _of(targets)
    listed = context_walk.sent_from

    def vanishing(*arguments: Any) -> Iterator[str]:
        yield from listed(*arguments)
        (tmp_path / "web/a.txt.swp").unlink(missing_ok=True)

    (tmp_path / "web/a.txt.swp").write_text("b")
    monkeypatch.setattr(context_walk, "sent_from", vanishing)

    assert _of(targets) == before


def test_the_fingerprint_of_a_fixed_tree_never_changes(tmp_path: Path) -> None:
    """Records of released images hold fingerprints: another value for equal sources would build every service again."""
    files = {
        "web/Dockerfile": "FROM base\n", "web/.dockerignore": "*.log\n", "web/app/main.py": "print(1)\n",
        "web/run.sh": "#!/bin/sh\n", "web/debug.log": "x", "stage/Dockerfile": "FROM base AS shared\n",
        "docs/index.md": "# Docs\n",
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    (tmp_path / "web/run.sh").chmod(0o755)
    (tmp_path / "web/link").symlink_to("app/main.py")
    base = {"python:3.12-slim": "docker-image://base"}
    targets: dict[str, Target] = {
        "web": {
            "context": str(tmp_path / "web"),
            "dockerfile": "Dockerfile",
            "contexts": {**base, "shared": "target:stage-shared", "docs": str(tmp_path / "docs")},
            "secret": ["id=ca_bundle,src=/etc/ssl/ca.pem", "id=token,src=/run/token"],
            "args": {"PORT": "8000", "SOURCE_DATE_EPOCH": "1700000000"},
            "labels": {"org.opencontainers.image.version": "1.2.3"},
            "annotations": ["org.opencontainers.image.version=1.2.3"],
            "tags": ["127.0.0.1:5000/test/web:1.2.3"],
            "attest": ["type=provenance,mode=min"],
            "target": "serve",
        },
        "stage-shared": {
            "context": str(tmp_path / "stage"),
            "dockerfile": "Dockerfile",
            "contexts": base,
            "secret": [],
            "target": "shared",
            "output": ["type=cacheonly"],
        },
    }

    found = fingerprint.of_target(targets, "web", {"docker-image://base": f"sha256:{'1' * 64}"}, Reader(Inputs()))

    assert found == "91fb1343a262f0489e8139fd28199395ee5324eb8d6aea890c8aa9829a77f61d"
