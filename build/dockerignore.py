"""The rules of a .dockerignore, as BuildKit reads them."""

from __future__ import annotations

import re


def parse_ignore(text: str) -> list[tuple[re.Pattern[str], bool]]:
    """The rules of a .dockerignore, in order: (pattern, whether it brings files back).

    Rules as in the reference of the Dockerfile format: Go's filepath.Match, `**` for any folders, `!` for exceptions.
    """
    rules = []
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        rules.append((_translate(pattern.removeprefix("!").strip().strip("/")), keep))
    return rules


def ignored(relative: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    """Whether a path is left out: the last rule that matches it or one of its folders decides."""
    parts = relative.split("/")
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    out = False
    for pattern, keep in rules:
        if any(pattern.fullmatch(prefix) for prefix in prefixes):
            out = not keep
    return out


def _translate(pattern: str) -> re.Pattern[str]:
    escaped = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            escaped, position = escaped + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            escaped, position = escaped + ".*", position + 2
        elif pattern[position] == "*":
            escaped, position = escaped + "[^/]*", position + 1
        elif pattern[position] == "?":
            escaped, position = escaped + "[^/]", position + 1
        else:
            escaped, position = escaped + re.escape(pattern[position]), position + 1
    return re.compile(escaped)
