"""What the comparison keeps between runs makes it fast and changes no verdict."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from build.git.inputs import compare
from tests.support.clones import read
from tests.support.inputs import found, put
from tests.support.project import Project

# What is kept between runs ------------------------------------------------------------------------------------------


def test_c1_a_change_in_the_second_of_the_last_look_is_seen(app: Project) -> None:
    """A stat cache proves nothing about the second that it was written in."""
    path = app.root / "docker/web/data.txt"
    for text in ("ONE\ntwo\n", "one\ntwo\n", "one\nTWO\n", "one\ntwo\n") * 3:
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert (found(app) == {}) == (path.read_text() == "one\ntwo\n")
        put(app, "docker/web/data.txt", text)


def _private(app: Project) -> Path:
    read(app)
    (folder,) = (path for path in app.load().workspace.trees.iterdir() if path.is_dir())
    return folder


def _index(folder: Path) -> Path:
    (index,) = (path for path in folder.glob("index-*") if "." not in path.name)
    return index


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no index": lambda folder: _index(folder).unlink(),
    "an empty index": lambda folder: _index(folder).write_bytes(b""),
    "a cut index": lambda folder: _index(folder).write_bytes(_index(folder).read_bytes()[:-30]),
    "a flipped bit": lambda folder: _index(folder).write_bytes(
        (old := _index(folder).read_bytes())[:60] + bytes([old[60] ^ 1]) + old[61:]
    ),
    "HEAD": lambda folder: (folder / "HEAD").write_text("nonsense\n"),
    "config": lambda folder: (folder / "config").write_text("[nonsense\n"),
    "no refs": lambda folder: shutil.rmtree(folder / "refs"),
    "a lock": lambda folder: (folder / f"{_index(folder).name}.lock").touch(),
    "a lock of git's": lambda folder: (folder / "index.lock").touch(),
    "what a killed run left": lambda folder: (folder / f"{_index(folder).name}.99999999.0.lock").touch(),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_c1_what_is_kept_may_be_damaged(app: Project, damage: str) -> None:
    """Whatever a kill or a disk does to what is kept, the verdict stays right."""
    folder = _private(app)
    DAMAGE[damage](folder)
    assert found(app) == {}
    DAMAGE[damage](_private(app))
    app.write("docker/web/data.txt", "ONE\ntwo\n")

    assert found(app) == {"docker/web/data.txt": "changed"}


def test_c1_nothing_can_be_kept(app: Project) -> None:
    """Where .uc can't be written, the comparison works as well."""
    app.write(".uc", "a file")

    assert compare(app.load()).differences == ()
    app.write("docker/web/data.txt", "ONE\ntwo\n")
    assert [one.path for one in compare(app.load()).differences] == ["docker/web/data.txt"]


def test_c1_another_commit_is_compared_with_itself(app: Project) -> None:
    """After a commit, a switch and a reset, the files are compared with what HEAD is now."""
    app.write("docker/web/data.txt", "ONE\ntwo\n")
    assert found(app) == {"docker/web/data.txt": "changed"}
    app.commit("feat: other")
    assert found(app) == {}
    app.git("reset", "--quiet", "--soft", "HEAD~1")
    assert found(app) == {"docker/web/data.txt": "changed"}
    app.git("reset", "--quiet", "--hard")
    assert found(app) == {}


def test_c1_many_at_once(app: Project) -> None:
    """Runs in one checkout at the same time agree."""
    app.write("docker/web/data.txt", "ONE\ntwo\n")
    code = (
        "import os; from pathlib import Path; from build.config.load import load; from build.git.inputs import compare; "
        "print([str(one) for one in compare(load(Path(), {})).differences])"
    )
    import sys

    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=app.root, env=app.environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]

    assert {run.communicate()[0] for run in runs} == {"['docker/web/data.txt (changed)']\n"}
    assert [path.name.count(".") for path in _private(app).glob("index-*")] == [0]
