"""How much space is free, and what is too little."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from build.engine import disk


@pytest.mark.parametrize(
    ("gigabytes", "state"),
    [([2.9], "fail"), ([50, 2.9], "fail"), ([3], "warn"), ([9.9, 50], "warn"), ([10], "ok"), ([10, 50], "ok")],
)
def test_the_fullest_place_decides(gigabytes: list[float], state: str) -> None:
    """One full disk is enough to stop a build; below 3 GB is a failure, below 10 GB a warning."""
    assert disk.state({Path(f"/{number}"): size for number, size in enumerate(gigabytes)}) == state


def test_a_folder_that_is_not_there_yet_has_its_parents_space(tmp_path: Path) -> None:
    """Before the first build .uc does not exist; asking for its space creates nothing."""
    space = disk.free([tmp_path / "project/.uc"])

    assert list(space) == [tmp_path]
    assert space[tmp_path] == pytest.approx(shutil.disk_usage(tmp_path).free / 2**30, rel=0.01)
    assert list(tmp_path.iterdir()) == []
