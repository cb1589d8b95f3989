"""What is said of a stack that was never started, before any engine is asked."""

from __future__ import annotations

import pytest

from build.errors import SmokeFailed
from build.stack import run
from tests.support.project import Project


def test_logs_before_the_first_up_are_of_no_other_stack(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose, told no file, takes the one of the folder that the user happens to stand in."""
    project.write("compose.yaml", "services: { other: { image: scratch } }\n")
    monkeypatch.chdir(project.root)

    with pytest.raises(SmokeFailed, match="the stack is not running") as caught:
        run.logs(project.load(), [], follow=False, tail="1")

    assert caught.value.hint == "./inv up"
