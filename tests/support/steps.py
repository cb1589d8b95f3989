"""The steps of a release by key, and the output lines that show them: tests depend on keys, not on titles."""

from __future__ import annotations

from build.release.steps import STEPS

_TITLES = {step.key: step.title for step in STEPS}
KEYS = tuple(_TITLES)
PUBLIC = KEYS[KEYS.index("claim") :]
_BEGUN, _DONE = "» ", "✓ "


def begins(key: str) -> str:
    """Return the line that is printed when a step begins."""
    return f"{_BEGUN}{_TITLES[key]}"


def ends(key: str) -> str:
    """Return the start of the line that is printed when a step succeeds."""
    return f"{_DONE}{_TITLES[key]}"


def step_of(line: str) -> str:
    """Return the key of the step that an output line begins, or "" for other lines; another task's step by title."""
    title = line.removeprefix(_BEGUN)
    if title == line:
        return ""
    return next((key for key, known in _TITLES.items() if known == title), title)
