"""Values of flags that make no sense."""

from __future__ import annotations

import pytest

from tests.support.project import Project


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("logs", "--tail", "abc"), 1, "--tail takes a number of lines, or all, and not 'abc'"),
        (("logs", "--tail", "-1"), 1, "--tail takes a number of lines"),
        (("build", "--progress", "nonsense"), 1, "--progress is one of auto, plain, quiet"),
        (("completion", "tcsh"), 1, "no completion for 'tcsh'"),
        (("secrets.rotate",), 1, "secrets.rotate needs a name"),
        (("secrets.rotate", ""), 1, "--name has an empty value"),
        (("logs", "no-such-container"), 2, "unknown container 'no-such-container'"),
    ],
)
def test_u12_u19_no_nonsense_is_taken(project: Project, words: tuple[str, ...], code: int, message: str) -> None:
    """A value that can't be meant is refused before anything is done, with what may stand there."""
    project.commit()
    ran = project.inv(*words)

    assert (ran.code, message in ran.stderr, "Traceback" in ran.stderr) == (code, True, False), ran.text
    assert "try:" in ran.stderr
