"""Which logs are refused before Compose is called."""

from __future__ import annotations

import pytest

from build.errors import SmokeFailed
from build.stack import logs
from tests.support.project import Project


def test_logs_before_the_first_up_are_of_no_other_stack(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose without a file would take the one of the folder that the user happens to be in."""
    project.write("compose.yaml", "services: { other: { image: scratch } }\n")
    monkeypatch.chdir(project.root)

    with pytest.raises(SmokeFailed, match="the stack is not running") as caught:
        logs.show(project.load(), [], follow=False, tail="1")

    assert caught.value.hint == "./inv up"
