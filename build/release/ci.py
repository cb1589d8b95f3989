"""What a CI system says about the job that runs, by its environment variables."""

from __future__ import annotations

from collections.abc import Mapping

# Each system's own variable; CI is set by nearly all of them, so it comes last.
_SYSTEMS = {
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab CI",
    "CI": "CI",
}


def in_ci(environment: Mapping[str, str]) -> str:
    """The CI system whose job has this environment, or "" on a developer's machine."""
    for variable, system in _SYSTEMS.items():
        if environment.get(variable, "").lower() in {"true", "1"}:
            return system
    return ""


def branch(environment: Mapping[str, str]) -> str | None:
    """The branch that a CI job is about, or None if it names none, as a job for a tag."""
    branch = environment.get("CI_COMMIT_BRANCH", "")
    if not branch and environment.get("GITHUB_REF", "").startswith("refs/heads/"):
        branch = environment["GITHUB_REF"].removeprefix("refs/heads/")
    return branch or None
