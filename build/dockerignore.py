"""Reads .dockerignore files as BuildKit does."""

from __future__ import annotations

import re


def parse_ignore(text: str) -> list[tuple[re.Pattern[str], bool]]:
    """Parse the rules of a .dockerignore, in order: (pattern, whether it is an exception).

    The syntax is that of the Dockerfile reference (".dockerignore file"): `*`, `?`, `**` for any number of folders, and
    `!` for exceptions. Character classes and backslashes are taken literally.
    """
    rules = []
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        exception = pattern.startswith("!")
        rules.append((_translate(pattern.removeprefix("!").strip().strip("/")), exception))
    return rules


def ignored(relative: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    """Whether a path is excluded: the last rule that matches it or one of its folders decides."""
    parts = relative.split("/")
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    excluded = False
    for pattern, exception in rules:
        if any(pattern.fullmatch(prefix) for prefix in prefixes):
            excluded = not exception
    return excluded


def _translate(pattern: str) -> re.Pattern[str]:
    regex = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            regex, position = regex + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            regex, position = regex + ".*", position + 2
        elif pattern[position] == "*":
            regex, position = regex + "[^/]*", position + 1
        elif pattern[position] == "?":
            regex, position = regex + "[^/]", position + 1
        else:
            regex, position = regex + re.escape(pattern[position]), position + 1
    return re.compile(regex)
