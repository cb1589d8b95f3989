"""Who is at the keyboard: a CI job, or a person."""

from __future__ import annotations

from collections.abc import Mapping

# The systems by the variable that each sets in its jobs; CI is what nearly all of them set, so it comes last.
_SYSTEMS = {
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab CI",
    "CI": "CI",
}


def in_ci(environment: Mapping[str, str]) -> str:
    """The CI system whose job has this environment, or "" on a person's machine."""
    for variable, system in _SYSTEMS.items():
        if environment.get(variable, "").lower() in {"true", "1"}:
            return system
    return ""
