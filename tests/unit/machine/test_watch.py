"""What `watch` compares: every file of the watched folders, while others write to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.machine import watch
from tests.support.machine import shut


def test_a_file_that_goes_away_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An editor's temporary file is listed and gone before it is looked at: watching goes on with the others."""
    listed = watch._files

    def vanishing(top: Path) -> Iterator[os.DirEntry[str]]:
        for entry in listed(top):
            if entry.name == ".kept.swp":
                Path(entry.path).unlink()
            yield entry

    for name in ("kept", ".kept.swp"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(watch, "_files", vanishing)

    assert list(watch.snapshot([tmp_path])) == [str(tmp_path / "kept")]


def test_a_folder_that_is_shut_is_passed_over(tmp_path: Path) -> None:
    """A folder that this user may not read ends no watch; a build that needs it says so."""
    (tmp_path / "secret").write_text("x")

    with shut(tmp_path):
        found = watch.snapshot([tmp_path])

    assert found == {}


def test_s8_a_file_is_watched_by_itself(tmp_path: Path) -> None:
    """The mkdocs.yml of a source is one; what is gone is passed over."""
    (tmp_path / "mkdocs.yml").write_text("x")

    assert list(watch.snapshot([tmp_path / "mkdocs.yml", tmp_path / "gone"])) == [str(tmp_path / "mkdocs.yml")]
