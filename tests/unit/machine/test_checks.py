"""The lanes of `./inv test`, with real nox and sessions that only meet."""

from __future__ import annotations

import os

import pytest

from build import console
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
    Path(".uc/reports/lint.xml").write_text(
        "<testsuites><testsuite><testcase classname='tests.x' name='test_right'/>"
        "<testcase classname='tests.x' name='test_wrong'><failure message='assert 1 == 2&#10;more'/></testcase>"
        "</testsuite></testsuites>"
    )
    session.error("a reason")

@nox.session
def setup(session):
    meet("setup.begun", "lint.begun")

@nox.session
def pins(session):
    assert Path("lint.begun").exists()
"""


def test_lanes_run_side_by_side_and_the_rest_last(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Two lanes wait for each other; what runs alone comes after both; the error names the session and test that failed."""
    project.write("noxfile.py", NOXFILE)
    project.write(".uc/reports/older.xml", "<testcase name='test_older'><failure message='an older run'/></testcase>")
    os.utime(project.root / ".uc/reports/older.xml", (1, 1))

    with console.collecting() as collected, pytest.raises(Incomplete, match="1 of the sessions failed: lint") as caught:
        checks.run_tests(project.load(), ["pins", "lint", "setup"])

    assert caught.value.output == "lint: tests.x::test_wrong: assert 1 == 2"
    assert collected.result == {
        "sessions": {"lint": "aborted", "setup": "success", "pins": "success"}, "failed_tests": [caught.value.output],
    }  # fmt: skip

    lines = capsys.readouterr().err.splitlines()
    assert {"lint | nox > Session lint aborted: a reason.", "setup | nox > Running session setup"} <= {*lines}


def test_a_wrong_name_is_refused_before_anything_runs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt session costs no time of the others."""
    project.write("noxfile.py", NOXFILE)

    with pytest.raises(Incomplete, match="nox refuses these sessions") as caught:
        checks.run_tests(project.load(), ["lint", "pinz"])

    assert "pinz" in caught.value.output
    assert "Running session" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["lint", "pins"])
def test_u16_stdout_is_the_document_s_alone(project: Project, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """What one session prints, which otherwise goes straight to the terminal, goes to stderr behind its name."""
    project.write("noxfile.py", f"import nox\n@nox.session\ndef {name}(session):\n    print('printed', flush=True)\n")

    with console.collecting() as collected:
        checks.run_tests(project.load(), [name])

    out, err = capfd.readouterr()
    assert (out, collected.result["sessions"]) == ("", {name: "success"})
    assert f"{name} | printed" in err
