"""What the environment of a CI job tells: its system and its branch."""

from __future__ import annotations

import pytest

from build.release import ci
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


@pytest.mark.parametrize(
    ("environment", "branch"),
    [
        ({"CI_COMMIT_BRANCH": "main"}, "main"),
        ({"GITHUB_REF": "refs/heads/1.3.x", "GITHUB_REF_NAME": "1.3.x"}, "1.3.x"),
        ({"CI_COMMIT_BRANCH": "", "GITHUB_REF": "refs/heads/main"}, "main"),
        ({"GITHUB_REF": "refs/tags/main", "GITHUB_REF_NAME": "main"}, None),
        ({"GITHUB_REF": "refs/pull/7/merge", "GITHUB_REF_NAME": "7/merge"}, None),
        ({}, None),
    ],
)
def test_a_ci_job_says_which_branch_it_is_about(environment: dict[str, str], branch: str | None) -> None:
    """The CI system's variable names the branch, for a HEAD that is detached."""
    assert ci.branch(environment) == branch
