"""Repositories that git can't work in: each is named, with the command that helps."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from build.errors import MissingTool, RepositoryError
from build.git import client, remote
from build.git import history as git_history
from build.git import status as git_status
from tests.support.clones import read
from tests.support.machine import lacking, shut
from tests.support.project import Project, make_empty


def _refused(act: Callable[[], object], message: str, hint: str) -> None:
    with pytest.raises(RepositoryError, match=message) as caught:
        act()
    assert hint in caught.value.hint


def _index(project: Project, content: bytes) -> None:
    (project.root / ".git/index").write_bytes(content)


@pytest.fixture
def foreign(project: Project) -> Project:
    """The project, owned by another user than the one who runs git."""
    if os.geteuid() != 0:
        lacking("needs root: only root may give files away")
    for path in [project.root, *project.root.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    return project


def test_c11_another_owner_s_repository_is_named_with_the_command(
    foreign: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever git is asked first: what it is, and what to type."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    asked: list[Callable[[], object]] = [
        lambda: read(foreign),
        lambda: remote.configured_remote(foreign.root, "origin"),
        lambda: list(git_history.log(foreign.root, ["HEAD"])),
    ]
    for act in asked:
        _refused(
            act, f"git does not trust {re.escape(str(foreign.root))}: it belongs to another user",
            f"git config --global --add safe.directory '{foreign.root}'",
        )  # fmt: skip


def test_c11_the_command_in_the_hint_helps(foreign: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is declared safe is read."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    foreign.git("init", "--quiet", str(tmp_path / "own"))
    (tmp_path / "gitconfig").write_text(f"[safe]\n\tdirectory = {foreign.root}\n")

    assert read(foreign).commit


def _move_away(project: Project) -> None:
    shutil.rmtree(project.root / ".git")
    project.write(".git", f"gitdir: {project.root}/gone/.git/worktrees/x\n")


def _empty_head(project: Project) -> None:
    for pack in (project.root / ".git/objects/pack").glob("*"):
        pack.chmod(0o644)
        pack.unlink()
    commit = project.git("rev-parse", "HEAD")
    loose = project.root / ".git/objects" / commit[:2] / commit[2:]
    loose.parent.mkdir(exist_ok=True)
    loose.unlink(missing_ok=True)
    loose.write_bytes(b"")


BROKEN: dict[str, tuple[Callable[[Project], object], str, str]] = {
    "no repository": (lambda p: shutil.rmtree(p.root / ".git"), "is not a git repository", "git init"),
    "an index of another program": (lambda p: _index(p, b"x" * 100), "the index of .* is broken", "git reset"),
    "a short index": (lambda p: _index(p, b"DIRC"), "the index of .* is broken", "git reset"),
    "an orphan branch": (
        lambda p: p.git("checkout", "--quiet", "--orphan", "new"), "the branch new has no commit yet", "git commit"
    ),
    "a worktree that was moved": (
        _move_away,
        "whose repository is gone or was moved", "git worktree repair",
    ),
    "an object that is empty": (
        _empty_head, "lacks objects or has broken ones", "git fsck"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_c11_what_is_broken_is_named(project: Project, case: str) -> None:
    """Never "exit code 128": what it is, and the command that helps."""
    break_it, message, hint = BROKEN[case]
    break_it(project)

    _refused(lambda: read(project), message, hint)


def test_c11_a_bare_repository_has_nothing_to_build(project: Project, tmp_path: Path) -> None:
    """A manifest that lies in a bare repository is refused with what a build needs."""
    bare = Project(tmp_path / "bare")
    project.git("clone", "--quiet", "--bare", str(project.root), str(bare.root))
    for name in ("versions.toml", "docker"):
        source = project.root / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, bare.root / name)

    _refused(lambda: read(bare), "is in a bare repository", "git clone")


@pytest.mark.parametrize("name", [".git/index", ".git/config", ".git/HEAD", ".git"])
def test_c11_a_repository_that_is_closed_to_this_user(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that another user wrote, under sudo perhaps, are named; `git init` is not suggested."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        project = make_empty(Path(folder) / "project")
        project.commit("Start")
        for path in (Path(folder), *project.root.rglob("*"), project.root):
            path.chmod(0o755)
        monkeypatch.setenv("HOME", folder)
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
        with shut(project.root / name), pytest.raises(RepositoryError) as caught:
            git_status.ask(project.load())

    closed = name if name in {".git/index", ".git/config"} else f"{project.root}/.git"
    assert str(caught.value).startswith(f"{closed} can't be read")
    assert "sudo chown" in caught.value.hint


def test_c11_a_lock_that_was_left_behind_stops_no_reader(project: Project) -> None:
    """index.lock of a git that was killed stands in the way of who writes; a version can be computed."""
    (project.root / ".git/index.lock").touch()

    assert read(project).commit


def test_c11_no_git_at_all(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git, the hint is how to install it, not the doctor, which needs it as well."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingTool, match="git is not installed") as caught:
        read(project)

    assert "apt-get install git" in caught.value.hint


def test_c11_a_git_that_is_too_old(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that it does not know is explained by its version."""
    old = tmp_path / "git"
    old.write_text(
        '#!/bin/sh\n[ "$1" != --version ] || exec echo git version 2.11.0\necho "error: unknown option x" >&2\nexit 129\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    for act in (lambda: read(project), client.version):
        with pytest.raises(MissingTool, match=r"git 2\.11\.0 is too old: 2\.31 or newer is needed"):
            act()
