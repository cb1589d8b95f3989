"""One table of a triggers file: its values by type, and every mistake with the line that it stands on."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from monitor_service.pattern import compile_globs


class RulesError(Exception):
    """A triggers file that can't be used: the line (0 when there is none) and the reason.

    `waits_for` is the secret file whose absence is the reason.
    """

    def __init__(self, line: int, reason: str, waits_for: Path | None = None) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line, self.reason, self.waits_for = line, reason, waits_for


def among(names: tuple[str, ...]) -> str:
    """The names in the words of a refusal."""
    return f"expected one of {', '.join(names) or '(none is defined)'}"


class Table:
    """One table of the document, which knows where its header stands in the text."""

    def __init__(self, text: str, header: str, content: object, within: Table | None = None) -> None:
        self.text = text
        found = re.search(header, text)
        self.start: int = found.end() if found else within.start if within else 0
        if not isinstance(content, dict):
            raise self.error("", "expected a table")
        self.content: dict[str, Any] = content

    def error(self, key: str, reason: str, waits_for: Path | None = None) -> RulesError:
        """RulesError at the key's own line in this table, else at its header."""
        end = re.compile(r"(?m)^\s*\[(?!triggers\.)").search(self.text, self.start) if self.start else None
        named = re.compile(rf"(?m)^.*(?<![A-Za-z0-9_]){key}(?![A-Za-z0-9_])")
        found = named.search(self.text, self.start, end.start() if end else len(self.text))
        at = found.end() if key and found else self.start
        return RulesError(self.text.count("\n", 0, at) + 1, reason, waits_for)

    def get(self, key: str, default: object) -> Any:
        return self.content.get(key, default)

    def only(self, known: tuple[str, ...]) -> None:
        for key in (key for key in self.content if key not in known):
            near = difflib.get_close_matches(key, known, 1)
            hint = f"perhaps you meant {near[0]!r}" if near else among(known)
            raise self.error(re.escape(key), f"unknown key {key!r}: {hint}")

    def string(self, key: str, default: str | None = None) -> str:
        value = self.get(key, default)
        if value is None:
            raise self.error("", f"{key!r} is missing")
        if not isinstance(value, str):
            raise self.error(key, f"{key!r} must be a string")
        return value

    def table(self, key: str) -> dict[str, Any]:
        value = self.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"{key!r} must be a table")
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.error(key, f"{key!r} must be a number from {least:g} to {most:g}, not {value!r}")
        return float(value)

    def one_of(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.string(key, default)
        if value not in allowed:
            near = difflib.get_close_matches(value, allowed, 1)
            hint = f"perhaps you meant {near[0]!r}; " if near else ""
            raise self.error(key, f"{key} = {value!r}: {hint}{among(allowed)}")
        return value

    def tables(self, key: str, header: str) -> list[Any]:
        value = self.get(key, [])
        if not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
            raise self.error(key, f"write each of them under a {header} header")
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self.number(key, default, least, most)
        if value != int(value):
            raise self.error(key, f"{key!r} must be a whole number, not {value!r}")
        return int(value)

    def strings(self, key: str, default: tuple[str, ...], allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.get(key, list(default))
        listed = [value] if isinstance(value, str) else value
        if not (isinstance(listed, list) and all(isinstance(item, str) and item for item in listed)):
            raise self.error(key, f"{key!r} must be a string or a list of strings")
        for item in listed:
            if allowed and item not in allowed:
                raise self.error(key, f"{key}: {item!r}: {among(allowed)}")
        return tuple(listed)

    def globs(self, key: str, globs: tuple[str, ...]) -> re.Pattern[str]:
        try:
            return compile_globs(globs)
        except re.error as error:
            raise self.error(key, f"{key}: {error}") from error
