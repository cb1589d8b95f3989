"""The lanes of `./inv test`, with real nox and sessions that only meet."""

from __future__ import annotations

import pytest

from build.errors import Incomplete
from build.machine import checks
from tests.support.project import Project

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
        time.sleep(0.01)

@nox.session
def lint(session):
    meet("lint.begun", "setup.begun")
    session.error("a reason")

@nox.session
def setup(session):
    meet("setup.begun", "lint.begun")

@nox.session
def pins(session):
    assert Path("lint.begun").exists()
"""


def test_lanes_run_side_by_side_and_the_rest_last(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Two lanes wait for each other; a session in none comes after both; the error names the one that failed."""
    project.write("noxfile.py", NOXFILE)

    with pytest.raises(Incomplete, match=r"1 of the sessions failed: lint$"):
        checks.run_tests(project.load(), ["pins", "lint", "setup"])

    lines = capsys.readouterr().err.splitlines()
    assert {"lint | nox > Session lint aborted: a reason.", "setup | nox > Running session setup"} <= {*lines}


def test_a_wrong_name_is_refused_before_anything_runs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt session costs no time of the others."""
    project.write("noxfile.py", NOXFILE)

    with pytest.raises(Incomplete, match="nox refuses these sessions") as caught:
        checks.run_tests(project.load(), ["lint", "pinz"])

    assert "pinz" in caught.value.output
    assert "Running session" not in capsys.readouterr().err
