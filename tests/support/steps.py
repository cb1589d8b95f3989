"""The steps of a release and of a deploy by key, and the lines that show them: tests depend on keys, not on titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from build.deploy import steps as deploy
from build.release import steps as release
from build.steps import Step

_BEGUN, _DONE = "» ", "✓ "


class Lines:
    """The lines that a sequence of steps prints; `keys` are those of the steps, in order."""

    def __init__(self, steps: Sequence[Step[Any]]) -> None:
        self._titles = {step.key: step.title for step in steps}
        self.keys = tuple(self._titles)

    def begins(self, key: str) -> str:
        """Return the line that is printed when a step begins."""
        return f"{_BEGUN}{self._titles[key]}"

    def ends(self, key: str) -> str:
        """Return the start of the line that is printed when a step succeeds."""
        return f"{_DONE}{self._titles[key]}"

    def key_of(self, title: str) -> str:
        """Return the key of the step with this title, "" if there is none."""
        return next((key for key, known in self._titles.items() if known == title), "")


RELEASE, DEPLOY = Lines(release.STEPS), Lines(deploy.STEPS)
begins, ends, KEYS = RELEASE.begins, RELEASE.ends, RELEASE.keys
PUBLIC = KEYS[KEYS.index("claim") :]


def step_of(line: str) -> str:
    """Return the key of the step that an output line begins, or "" for other lines; another task's step by title."""
    title = line.removeprefix(_BEGUN)
    if title == line:
        return ""
    return RELEASE.key_of(title) or DEPLOY.key_of(title) or title
