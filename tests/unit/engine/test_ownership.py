"""Which checkout a stack belongs to, as far as no engine has to be asked."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from build.engine import ownership
from build.engine.ownership import Owner
from tests.support.project import Project


def _owner(project: Project) -> Owner:
    """The owner that the labels of what a project created name."""
    labels = ownership.labels(project.load())
    keys = (ownership.PATH_LABEL, ownership.HOST_LABEL, ownership.IDENTIFIER_LABEL)
    return Owner(*(labels[key] for key in keys))


def _copy(project: Project, folder: Path) -> Project:
    return Project(Path(shutil.copytree(project.root, folder)))


def test_e4_a_checkout_owns_what_it_created(project: Project) -> None:
    """Its folder and its identifier say so, each alone: a folder that was moved, a .uc/ that was removed."""
    owner = _owner(project)
    moved = Project(Path(shutil.move(project.root, project.root.with_name("moved"))))
    after_the_move = ownership.foreign(moved.load(), {owner})
    shutil.rmtree(moved.root / ".uc")
    without_the_folder = ownership.foreign(moved.load(), {Owner(str(moved.root), platform.node(), "another")})

    assert (after_the_move, without_the_folder) == ([], [])


def test_e4_a_link_to_the_folder_is_the_same_checkout(project: Project, tmp_path: Path) -> None:
    """A person may enter the folder by another name than the one on the label."""
    (tmp_path / "link").symlink_to(project.root)
    owner = _owner(project)
    linked = Project(tmp_path / "link")

    assert ownership.foreign(linked.load(), {owner, Owner(str(tmp_path / "link"), platform.node(), "another")}) == []


def test_e4_another_clone_and_a_copy_are_other_checkouts(project: Project, tmp_path: Path) -> None:
    """A clone has no identifier yet; a copy of the whole folder has brought one, and gets another."""
    clone = _copy(project, tmp_path / "clone")
    owner = _owner(project)
    copy = _copy(project, tmp_path / "copy")

    assert ownership.foreign(clone.load(), {owner}) == [owner]
    assert ownership.foreign(copy.load(), {owner}) == [owner]
    assert ownership.foreign(project.load(), {_owner(copy)}) == [_owner(copy)]


def test_e4_what_a_checkout_that_is_gone_left_is_taken_over_with_a_word(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A removed folder locks nobody out; it is said once, because labels of volumes can't be changed."""
    clone = _copy(project, tmp_path / "clone")
    owner = _owner(clone)
    shutil.rmtree(clone.root)

    first = ownership.foreign(project.load(), {owner})
    said = capsys.readouterr().err
    again = ownership.foreign(project.load(), {owner})

    assert (first, again) == ([], [])
    assert f"{clone.root} is gone" in said
    assert "gone" not in capsys.readouterr().err


def test_e4_a_folder_of_another_machine_is_not_taken_for_gone(project: Project) -> None:
    """Machines that share an engine can't look at each other's folders."""
    owner = Owner("/srv/shop", "elsewhere", "1")

    assert ownership.foreign(project.load(), {owner}) == [owner]
    assert str(owner) == "/srv/shop on elsewhere"
