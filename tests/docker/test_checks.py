"""`./inv test` itself: which sessions run at the same time, and what it says of those that fail."""

from __future__ import annotations

from typing import Any

from tests.support.project import Project
from tests.support.stack import reuse_bases

NOXFILE = """\
import time
from pathlib import Path
import nox
nox.options.default_venv_backend = "none"

def meet(mine, other):
    Path(mine).touch()
    end = time.monotonic() + 60
    while not Path(other).exists():
        assert time.monotonic() < end, f"{other} has not begun"
        time.sleep(0.05)

@nox.session
def lint(session):
    meet("lint.begun", "release.begun")
    session.run("sh", "-c", "echo one line; exit 3", external=True)

@nox.session
def release(session):
    meet("release.begun", "lint.begun")
    session.run("echo", "another", external=True)
"""


def test_two_sessions_run_side_by_side(empty_project: Project, python_base: dict[str, Any]) -> None:
    """Each waits until the other has begun; each line says whose it is, and the end names the one that failed."""
    reuse_bases(empty_project, python_base)
    empty_project.write("noxfile.py", NOXFILE)

    ran = empty_project.inv("test", "--session", "lint", "--session", "release")

    assert ran.code == 13, ran.text
    assert "1 of the sessions failed: lint" in ran.stderr
    assert {"lint | one line", "release | another"} <= {*ran.text.splitlines()}
