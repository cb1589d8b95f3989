"""Reads .dockerignore files as BuildKit does; `context_walk` walks a folder by their rules.

The source of every rule is github.com/moby/patternmatcher (reading, cleaning, matching) and its use in
github.com/tonistiigi/fsutil (filter.go): also where they are odd, such as a `|` that is an alternative, or an exception
that names a folder and does not bring back what a rule with a wildcard excludes in it.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from build.errors import ManifestError

NAME = ".dockerignore"
_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Go's unicode.IsSpace
_TRIM = re.compile(f"^[{_SPACE}]+|[{_SPACE}]+$")
_ESCAPED = ".+()$"  # patternmatcher's shouldEscape, whose bitmap has no room for { | }
_CLASSES = "dDsSwWbB"  # behind a backslash, these are what they are in a regular expression
_GLOB = re.compile(r"[*\[\]?^\\]")

Matched = tuple[bool, ...]  # for each rule, whether it matched a folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of a .dockerignore: its cleaned pattern, and whether it is an exception (`!`)."""

    pattern: str
    exception: bool
    expression: re.Pattern[str]

    @property
    def without_glob(self) -> str:
        """The pattern without a last part that is a star."""
        return self.pattern.removesuffix("/**").removesuffix("/*")


class Rules:
    """The rules of one .dockerignore, in order."""

    def __init__(self, text: str, *, source: str = NAME) -> None:
        """Parse the text of the file `source`. Raises ManifestError for a line that BuildKit refuses too."""
        self.text = text
        self.rules = tuple(_parsed(text, source))
        self.none: Matched = (False,) * len(self.rules)
        exceptions = [rule for rule in self.rules if rule.exception]
        self._plain_exceptions = not any(_GLOB.search(rule.without_glob) for rule in exceptions)
        self._kept = tuple(f"{rule.without_glob}/" for rule in exceptions)
        patterns = [f"(?:{rule.expression.pattern})" for rule in self.rules if not rule.exception]
        self._any = re.compile("|".join(patterns), re.ASCII) if patterns else None

    def match(self, path: str, parent: Matched | None) -> tuple[bool, Matched]:
        """Whether a path is excluded, and which rules match it; `parent` is that of its folder, None at the top."""
        inherited = parent or self.none
        if not any(inherited) and (self._any is None or not self._any.search(path)):
            return False, self.none
        excluded = False
        matched = []
        for rule, inside in zip(self.rules, inherited, strict=True):
            # A rule that could change nothing is not tried: what lies below does not inherit it.
            match = inside or (rule.exception == excluded and rule.expression.search(path) is not None)
            matched.append(match)
            if match:
                excluded = not rule.exception
        return excluded, tuple(matched)

    def ignored(self, path: str) -> bool:
        """Whether a path is excluded when its folders are walked from the top."""
        parts = path.split("/")
        matched: Matched | None = None
        excluded = False
        for count in range(1, len(parts) + 1):
            excluded, matched = self.match("/".join(parts[:count]), matched)
        return excluded

    def closed(self, folder: str) -> bool:
        """Whether no exception can bring back anything in an excluded folder."""
        return self._plain_exceptions and not any(kept.startswith(f"{folder}/") for kept in self._kept)


@functools.lru_cache(maxsize=64)
def _rules(text: str, source: str) -> Rules:
    return Rules(text, source=source)


def ignore_file(folder: Path, dockerfile: str = "") -> Path | None:
    """The ignore file of a build context: DOCKERFILE.dockerignore, else .dockerignore, None without one.

    A named context has no Dockerfile, so `dockerfile` is "" for it.
    """
    names = [f"{dockerfile}{NAME}", NAME] if dockerfile else [NAME]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def rules_of(folder: Path, dockerfile: str = "") -> Rules:
    """The rules of a build context. Raises ManifestError for a line that BuildKit refuses too."""
    path = ignore_file(folder, dockerfile)
    return _rules(path.read_bytes().decode("utf-8", "surrogateescape") if path else "", str(path or ""))


def always(folder: Path, dockerfile: str) -> set[str]:
    """The paths, relative to `folder`, that decide a build even if excluded: Dockerfile, ignore file, targets."""
    names = {NAME, dockerfile, f"{dockerfile}{NAME}"} if dockerfile else {NAME}
    found = set()
    for name in names:
        path = name
        while path not in found and not path.startswith(("/", "../")) and os.path.lexists(folder / path):
            found.add(path)
            if not (folder / path).is_symlink():
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), str((folder / path).readlink())))
    return found


def _parsed(text: str, source: str) -> Iterator[Rule]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.startswith("#"):
            continue
        pattern = _TRIM.sub("", line)
        exception = pattern.startswith("!")
        pattern = _TRIM.sub("", pattern[1:]) if exception else pattern
        if not pattern and not exception:
            continue
        try:
            if not pattern:
                raise ValueError("an exception of nothing")
            pattern = clean(pattern)
            if exception and pattern == "/":
                raise ValueError("an exception of nothing")
            yield Rule(pattern=pattern, exception=exception, expression=_translate(pattern))
        except (ValueError, re.error) as error:
            message = f"{source}, line {number}: {line!r} is no pattern ({error}); Docker refuses it too"
            raise ManifestError(message, hint=f"correct {source}") from None


def clean(pattern: str) -> str:
    """The pattern as Go's filepath.Clean has it, relative to the context ("/" alone stays).

    Raises ValueError for one that Go's filepath.Match refuses.
    """
    cleaned = re.sub("^/+", "/", posixpath.normpath(pattern))
    cleaned = cleaned[1:] if cleaned.startswith("/") and len(cleaned) > 1 else cleaned
    _check(cleaned)
    return cleaned


def _check(pattern: str) -> None:
    """Raise ValueError for a pattern with an open class, an empty range or a backslash at its end."""
    position = 0
    while position < len(pattern):
        if pattern[position] == "[":
            match = re.compile(r"\^?(?:(?:\\.|[^\]\\-])(?:-(?:\\.|[^\]\\-]))?)+\]", re.DOTALL).match(
                pattern, position + 1
            )
            if not match:
                raise ValueError("a class that does not end")
            position = match.end()
        elif pattern[position] == "\\" and position + 1 == len(pattern):
            raise ValueError("a backslash at its end")
        else:
            position += 2 if pattern[position] == "\\" else 1


def _translate(pattern: str) -> re.Pattern[str]:
    """The expression to search for, which patternmatcher's `compile` and `match` amount to."""
    expression = ""
    kind = "exact"
    position = 0
    while position < len(pattern):
        first, char = position == 0, pattern[position]
        position += 1
        if pattern.startswith("**", position - 1):
            position += 2 if pattern.startswith("/", position + 1) else 1
            ends = position >= len(pattern)
            expression += ".*" if ends else "(?:.*/)?"
            kind = "suffix" if first else "prefix" if ends and kind == "exact" else "expression"
        elif char in "*?":
            expression, kind = expression + ("[^/]*" if char == "*" else "[^/]"), "expression"
        elif char == "\\":
            expression, kind = expression + _escape(pattern[position]), "expression"
            position += 1
        elif char in "[]":
            expression, kind = expression + char, "expression"
        else:
            expression += f"\\{char}" if char in _ESCAPED else char
    if kind == "exact":
        return re.compile(rf"^{re.escape(pattern)}\Z")
    if kind == "prefix":
        return re.compile(f"^{re.escape(pattern[:-2])}")
    if kind == "suffix":
        suffix = pattern[2:]
        whole = rf"|^{re.escape(suffix[1:])}\Z" if suffix.startswith("/") else ""
        return re.compile(rf"{re.escape(suffix)}\Z{whole}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "possible nested set": none is
        return re.compile(rf"^{expression}\Z", re.ASCII)


def _escape(char: str) -> str:
    """A character behind a backslash. Raises ValueError for one that means nothing there, or is not supported."""
    if char.isalnum() and char not in _CLASSES and char not in "afnrtv":
        raise ValueError(f"\\{char} means nothing")
    return f"\\{char}"
