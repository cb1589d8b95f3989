"""Telling a CI job from a person's shell by its environment."""

from __future__ import annotations

import pytest

from build.release.ci import in_ci


@pytest.mark.parametrize(
    ("environment", "system"),
    [
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, "GitHub Actions"),
        ({"GITLAB_CI": "true", "CI": "true"}, "GitLab CI"),
        ({"CI": "true"}, "CI"),
        ({"CI": "1"}, "CI"),
        ({"CI": "True"}, "CI"),
    ],
)
def test_a_ci_job_is_named_by_its_system(environment: dict[str, str], system: str) -> None:
    """The most particular variable names the system; the one that all set is only asked after them."""
    assert in_ci(environment) == system


@pytest.mark.parametrize(
    "environment",
    [{}, {"CI": ""}, {"CI": "false"}, {"CI": "0"}, {"GITHUB_ACTIONS": "false"}, {"GITHUB_TOKEN": "true"}],
)
def test_a_person_s_shell_is_no_ci(environment: dict[str, str]) -> None:
    """A variable that is missing, empty or switched off makes no CI, and neither does a token left in a shell."""
    assert in_ci(environment) == ""
