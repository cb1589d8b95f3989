"""one-date, over real files: what a checkout's dates and umask leave in an image."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "one-date"
DATE = 315532800
pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="runs in a Linux image")


def _run(*arguments: str | Path) -> None:
    subprocess.run(["sh", str(SCRIPT), *map(str, arguments)], check=True)


def _tree(folder: Path, date: float, umask: int) -> Path:
    """A folder with a file, a program, and a link to nothing, of this date."""
    before = os.umask(umask)
    try:
        (folder / "package").mkdir(parents=True)
        (folder / "package" / "module.py").write_text("x = 1\n")
        (folder / "run").write_text("#!/bin/sh\n")
        (folder / "run").chmod(0o777 & ~umask)
        (folder / "link").symlink_to("nothing")
    finally:
        os.umask(before)
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (date, date), follow_symlinks=False)
    return folder


def _stated(folder: Path) -> dict[str, tuple[int, float]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.parametrize("date", [0, DATE - 1, DATE, 1_700_000_000.5])
def test_date_and_umask_leave_no_trace(tmp_path: Path, date: float) -> None:
    """Equal content has equal dates and modes, whatever date it had and under whichever usual umask it was written."""
    first, second = _tree(tmp_path / "first", date, 0o022), _tree(tmp_path / "second", 1_600_000_000, 0o002)

    _run(first)
    _run(second)

    assert _stated(first) == _stated(second)
    assert {when for _, when in _stated(first).values()} == {DATE}
    assert (first / "run").stat().st_mode & 0o777 == 0o755


def test_of_a_base_only_folders_and_what_was_written_are_touched(tmp_path: Path) -> None:
    """A file of the base keeps its date and its mode: it would be in the layer a second time."""
    folder = _tree(tmp_path / "base", 1_600_000_000, 0o002)
    begin = tmp_path / "begin"
    begin.touch()
    os.utime(begin, (1_650_000_000, 1_650_000_000))
    shutil.copy(folder / "run", folder / "written")

    _run("--since", begin, folder)

    stated = _stated(folder)
    assert stated["run"][1] == stated["link"][1] == 1_600_000_000
    assert stated["written"][1] == stated["package"][1] == stated["."][1] == DATE
    assert stated["run"][0] & 0o777 == 0o775
