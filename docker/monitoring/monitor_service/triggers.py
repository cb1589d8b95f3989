"""triggers.toml -> Ruleset: every mistake is refused with its line and what was expected."""

from __future__ import annotations

import difflib
import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from monitor_service import template
from monitor_service.pattern import compile_globs

KINDS = ("added", "modified", "deleted")
AUTHS = ("none", "bearer", "x-api-key")
_TARGET_KEYS = ("url", "auth", "secret", "timeout", "max_attempts")
_TRIGGER_KEYS = ("name", "glob", "exclude", "kinds", "debounce", "target", "path", "template")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SECRET = re.compile(r"[a-z][a-z0-9_]{0,63}")
_UNUSABLE = (ValueError, TypeError, RecursionError)
_ENV = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")


class RulesError(Exception):
    """A triggers file that can't be used: the line (0 when there is none) and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line, self.reason = line, reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where deliveries go, and the name of the secret that opens the door."""

    name: str
    url: str
    auth: str
    secret: str
    timeout: float
    max_attempts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """Which changes are told to which target, and in which words."""

    name: str
    glob: tuple[str, ...]
    exclude: tuple[str, ...]
    kinds: tuple[str, ...]
    debounce: float
    target: str
    path: str
    template: Mapping[str, Any]
    matches: re.Pattern[str]
    excludes: re.Pattern[str]

    def wants(self, path: str, kind: str) -> bool:
        """Whether this change is told to the target."""
        return kind in self.kinds and bool(self.matches.match(path)) and not self.excludes.match(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruleset:
    """What one triggers file says."""

    targets: Mapping[str, Target]
    triggers: tuple[Trigger, ...]


def parse(text: str, env: Mapping[str, str]) -> Ruleset:
    """The rules in text; RulesError names the line of the first mistake."""
    document = _document(text)
    try:
        return _rules(text, document, env)
    except _UNUSABLE as error:  # foreseen by no check below: refused all the same, the service goes on
        raise RulesError(0, _told(error)) from error


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        last = text.count("\n") + 1
        raise RulesError(int(found[1]) if found else last, f"not valid TOML: {error}") from error
    except _UNUSABLE as error:  # nested too deeply, a number of too many digits: the library names no line
        raise RulesError(_first_failing_line(text, type(error)), f"not valid TOML: {_told(error)}") from error


def _first_failing_line(text: str, kind: type[Exception]) -> int:
    """The number of the first line with which reading the text from its beginning fails in this way."""
    lines = text.splitlines(keepends=True)

    def fails(count: int) -> bool:
        try:
            tomllib.loads("".join(lines[:count]))
        except _UNUSABLE as error:  # a beginning may also just be cut off in the middle of something
            return type(error) is kind
        return False

    return bisect_left(range(1, len(lines)), x=True, key=fails) + 1


def _told(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _rules(text: str, document: dict[str, Any], env: Mapping[str, str]) -> Ruleset:
    top = _Table(text, r"\A", document)
    top.only(("targets", "triggers"))
    targets = {name: _target(text, name, table, env) for name, table in top.table("targets").items()}
    tables = top.get("triggers", [])
    if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise top.error("triggers", "write every trigger under a [[triggers]] header")
    triggers = tuple(_trigger(text, index, table, targets) for index, table in enumerate(tables))
    names = [trigger.name for trigger in triggers]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise _Table(text, _nth_trigger(index), tables[index]).error("name", f"a second trigger named {name!r}")
    return Ruleset(targets=targets, triggers=triggers)


def _target(text: str, name: str, content: object, env: Mapping[str, str]) -> Target:
    table = _Table(text, rf"(?m)^\s*\[targets\.[\"']?{re.escape(name)}[\"']?\]", content)
    if not _NAME.fullmatch(name):
        raise table.error("", f"target {name!r}: a name is letters, digits, - and _")
    table.only(_TARGET_KEYS)
    url = _ENV.sub(lambda match: env.get(match[1]) or match[2] or "", table.string("url"))
    if not _is_address(url):
        raise table.error("url", f"{url!r} is no http(s) address (an unset ${{NAME}} needs a :-default)")
    if urlsplit(url).username or urlsplit(url).password:
        raise table.error("url", "no credentials in an address: name a secret file with `secret`")
    auth = table.one_of("auth", AUTHS, "none")
    secret = table.string("secret", "")
    if auth != "none" and not _SECRET.fullmatch(secret):
        raise table.error("secret", f"auth = {auth!r} needs the name of a secret file, such as langgraph_api_key")
    return Target(
        name=name,
        url=url.rstrip("/"),
        auth=auth,
        secret=secret if auth != "none" else "",
        timeout=table.number("timeout", 10, 0.1, 300),
        max_attempts=int(table.number("max_attempts", 20, 1, 1000)),
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # A port that is no port is told when it is read; httpx asks more of a host's name.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and bool(httpx.URL(url))
    except (ValueError, httpx.InvalidURL):
        return False


def _nth_trigger(index: int) -> str:
    return r"(?ms)" + r"^\s*\[\[triggers\]\].*?" * index + r"^\s*\[\[triggers\]\]"


def _trigger(text: str, index: int, content: object, targets: Mapping[str, Target]) -> Trigger:
    table = _Table(text, _nth_trigger(index), content)
    table.only(_TRIGGER_KEYS)
    name = table.string("name")
    if not _NAME.fullmatch(name):
        raise table.error("name", f"{name!r}: a name is letters, digits, - and _")
    body = table.table("template") or {"event": "{event}"}
    path = table.string("path", "")
    for key, value in body.items():
        if reason := template.unsayable(value):
            raise table.error(rf"{re.escape(key)}[\"']?(?=\s*[.=])", f"template: {key}: {reason}")
    for part in (path, body):
        for placeholder in template.unknown(part):
            raise table.error(re.escape(f"{{{placeholder}}}"), _misplaced(placeholder))
    if path == "{event}":
        raise table.error("path", _misplaced("event"))
    if path and not path.startswith("/"):
        raise table.error("path", f"{path!r} must begin with /")
    glob, exclude = table.strings("glob", ("**",)), table.strings("exclude", ())
    return Trigger(
        name=name,
        glob=glob,
        exclude=exclude,
        kinds=tuple(table.strings("kinds", KINDS, KINDS)),
        debounce=table.number("debounce", 0.5, 0, 3600),
        target=table.one_of("target", tuple(targets)),
        path=path,
        template=body,
        matches=table.globs("glob", glob),
        excludes=table.globs("exclude", exclude),
    )


def _misplaced(placeholder: str) -> str:
    if placeholder == "event":
        return "{event} is the whole object and stands alone: in a text use {event.id}, {event.path}, ..."
    return f"unknown placeholder {{{placeholder}}}: {_among(template.NAMES)}"


def _among(names: tuple[str, ...]) -> str:
    return f"expected one of {', '.join(names) or '(none is defined)'}"


class _Table:
    """One table of the document, which knows where its header stands in the text."""

    def __init__(self, text: str, header: str, content: object) -> None:
        self.text = text
        found = re.search(header, text)
        self.start = found.end() if found else 0
        if not isinstance(content, dict):
            raise self.error("", "expected a table")
        self.content: dict[str, Any] = content

    def error(self, key: str, reason: str) -> RulesError:
        """RulesError at the key's own line in this table, else at its header."""
        end = re.compile(r"(?m)^\s*\[(?!triggers\.)").search(self.text, self.start) if self.start else None
        named = re.compile(rf"(?m)^.*(?<![A-Za-z0-9_]){key}(?![A-Za-z0-9_])")
        found = named.search(self.text, self.start, end.start() if end else len(self.text))
        at = found.end() if key and found else self.start
        return RulesError(self.text.count("\n", 0, at) + 1, reason)

    def get(self, key: str, default: object) -> Any:
        return self.content.get(key, default)

    def only(self, known: tuple[str, ...]) -> None:
        for key in self.content.keys() - set(known):
            near = difflib.get_close_matches(key, known, 1)
            hint = f"perhaps you meant {near[0]!r}" if near else _among(known)
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
            raise self.error(key, f"{key} = {value!r}: {_among(allowed)}")
        return value

    def strings(self, key: str, default: tuple[str, ...], allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.get(key, list(default))
        listed = [value] if isinstance(value, str) else value
        if not (isinstance(listed, list) and all(isinstance(item, str) and item for item in listed)):
            raise self.error(key, f"{key!r} must be a string or a list of strings")
        for item in listed:
            if allowed and item not in allowed:
                raise self.error(key, f"{key}: {item!r}: {_among(allowed)}")
        return tuple(listed)

    def globs(self, key: str, globs: tuple[str, ...]) -> re.Pattern[str]:
        try:
            return compile_globs(globs)
        except re.error as error:
            raise self.error(key, f"{key}: {error}") from error
