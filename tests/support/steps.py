"""The steps of a release by their identifiers, and the lines that show them: titles may change, tests hang on keys."""

from __future__ import annotations

from build.release.steps import STEPS

_TITLES = {step.key: step.title for step in STEPS}
KEYS = tuple(_TITLES)
PUBLIC = KEYS[KEYS.index("claim") :]
_BEGUN, _DONE = "» ", "✓ "


def begins(key: str) -> str:
    """The line that is printed when a step begins."""
    return f"{_BEGUN}{_TITLES[key]}"


def ends(key: str) -> str:
    """The start of the line that is printed when a step has succeeded."""
    return f"{_DONE}{_TITLES[key]}"


def step_of(line: str) -> str:
    """The key of the step that a line of output begins, "" for any other line; a step of another task by its title."""
    title = line.removeprefix(_BEGUN)
    if title == line:
        return ""
    return next((key for key, known in _TITLES.items() if known == title), title)
