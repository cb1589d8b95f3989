"""triggers.toml -> Ruleset: every mistake is refused with its line and what was expected."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from monitor_service import template
from monitor_service.rules_table import RulesError, Table, among

KINDS = ("added", "modified", "deleted")
AUTHS = ("none", "bearer", "x-api-key")
_TARGET_KEYS = ("url", "auth", "secret", "timeout", "max_attempts")
PER = ("path", "trigger")
_ACTION_KEYS = ("target", "path", "template")
_TIMING_KEYS = ("debounce", "cooldown", "cooldown_per", "batch", "batch_paths", "priority")
_TRIGGER_KEYS = ("name", "glob", "exclude", "kinds", *_TIMING_KEYS, *_ACTION_KEYS, "actions")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SECRET = re.compile(r"[a-z][a-z0-9_]{0,63}")
_UNUSABLE = (ValueError, TypeError, RecursionError)
SecretFile = Callable[[str], Path]
_ENV = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")


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
class Timing:
    """When changes are delivered: after `debounce`, or all those of `batch` seconds in one delivery; and how often."""

    debounce: float
    cooldown: float
    cooldown_per: str
    batch: float
    batch_paths: int
    priority: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """Which changes go to which target, and in which form. One of several actions is named TRIGGER.ACTION."""

    name: str
    glob: tuple[str, ...]
    exclude: tuple[str, ...]
    kinds: tuple[str, ...]
    timing: Timing
    target: str
    path: str
    template: Mapping[str, Any]
    matches: re.Pattern[str]
    excludes: re.Pattern[str]

    def wants(self, path: str, kind: str) -> bool:
        """Whether this change is delivered to the target."""
        return kind in self.kinds and bool(self.matches.match(path)) and not self.excludes.match(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruleset:
    """What one triggers file says."""

    targets: Mapping[str, Target]
    triggers: tuple[Trigger, ...]


def parse(text: str, env: Mapping[str, str], secret_file: SecretFile | None = None) -> Ruleset:
    """The rules in text; RulesError names the line of the first mistake.

    With `secret_file` a target whose secret has no file is a mistake too.
    """
    document = _document(text)
    try:
        return _rules(text, document, env, secret_file)
    except _UNUSABLE as error:  # foreseen by no check below: refused all the same, the service goes on
        raise RulesError(0, _described(error)) from error


def declared(text: str) -> list[str]:
    """The names of the triggers in a file that may be refused; none when it is no TOML."""
    try:
        tables = _document(text).get("triggers")
    except RulesError:
        return []
    names = [table.get("name") for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []
    return [name for name in names if isinstance(name, str) and _NAME.fullmatch(name)]


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        last = text.count("\n") + 1
        raise RulesError(int(found[1]) if found else last, f"not valid TOML: {error}") from error
    except _UNUSABLE as error:  # nested too deeply, a number of too many digits: the library names no line
        raise RulesError(_first_failing_line(text, type(error)), f"not valid TOML: {_described(error)}") from error


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


def _described(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _rules(text: str, document: dict[str, Any], env: Mapping[str, str], secret_file: SecretFile | None) -> Ruleset:
    top = Table(text, r"\A", document)
    top.only(("targets", "triggers"))
    targets = {name: _target(text, name, table, env, secret_file) for name, table in top.table("targets").items()}
    tables = top.tables("triggers", "[[triggers]]")
    names: list[str] = []
    triggers: list[Trigger] = []
    for index, content in enumerate(tables):
        table = Table(text, _nth_trigger(index), content)
        table.only(_TRIGGER_KEYS)
        name = _name(table, table.string("name"))
        if name in names:
            raise table.error("name", f"a second trigger named {name!r}")
        names.append(name)
        triggers += _triggers(text, index, name, table, targets)
    return Ruleset(targets=targets, triggers=tuple(triggers))


def _target(text: str, name: str, content: object, env: Mapping[str, str], secret_file: SecretFile | None) -> Target:
    table = Table(text, rf"(?m)^\s*\[targets\.[\"']?{re.escape(name)}[\"']?\]", content)
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
    file = secret_file(secret) if secret_file and auth != "none" else None
    if file is not None and not file.is_file():
        mount = "add it to `secrets` of [services.monitoring] in versions.local.toml"
        raise table.error("secret", f"the secret {secret!r} is not mounted, there is no {file}: {mount}", file)
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
        # A port that is no port is reported when it is read; httpx asks more of a host's name.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and bool(httpx.URL(url))
    except (ValueError, httpx.InvalidURL):
        return False


def _nth_trigger(index: int) -> str:
    return r"(?ms)" + r"^\s*\[\[triggers\]\].*?" * index + r"^\s*\[\[triggers\]\]"


def _nth_action(trigger: int, index: int) -> str:
    return _nth_trigger(trigger) + r".*?^\s*\[\[triggers\.actions\]\]" * (index + 1)


def _name(table: Table, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise table.error("name", f"{name!r}: a name is letters, digits, - and _")
    return name


def _triggers(text: str, index: int, name: str, table: Table, targets: Mapping[str, Target]) -> list[Trigger]:
    """One for each action; a trigger without `actions` is its own."""
    timing = _timing(table)
    contents = table.tables("actions", "[[triggers.actions]]")
    if not contents:
        return [_trigger(name, timing, table, table, targets)]
    for key in _ACTION_KEYS:
        if key in table.content:
            raise table.error(key, f"{key!r} stands in each of the actions when there are any")
    made: list[Trigger] = []
    for position, content in enumerate(contents):
        action = Table(text, _nth_action(index, position), content, within=table)
        action.only(("name", *_ACTION_KEYS))
        named = f"{name}.{_name(action, action.string('name', action.string('target')))}"
        if named in {trigger.name for trigger in made}:
            raise action.error("name", f"a second action of {name!r} with this name: give each a `name`")
        made.append(_trigger(named, timing, table, action, targets))
    return made


def _timing(table: Table) -> Timing:
    batch = table.number("batch", 0, 0, 3600)
    per = table.one_of("cooldown_per", PER, "trigger" if batch else "path")
    cooldown = table.number("cooldown", 0, 0, 86400)
    if batch and "debounce" in table.content:
        raise table.error("debounce", "a batch has no debounce: it collects the changes of `batch` seconds")
    if batch and per == "path":
        raise table.error("cooldown_per", "a batch is of many paths: its cooldown is per 'trigger'")
    if not batch and "batch_paths" in table.content:
        raise table.error("batch_paths", "'batch_paths' needs `batch`, the seconds to collect changes for")
    if not cooldown and "cooldown_per" in table.content:
        raise table.error("cooldown_per", "'cooldown_per' needs `cooldown`, the seconds between two deliveries")
    return Timing(
        debounce=0 if batch else table.number("debounce", 0.5, 0, 3600),
        cooldown=cooldown,
        cooldown_per=per,
        batch=batch,
        batch_paths=table.whole("batch_paths", 100, 1, 1000),
        priority=table.whole("priority", 0, -100, 100),
    )


def _trigger(name: str, timing: Timing, table: Table, action: Table, targets: Mapping[str, Target]) -> Trigger:
    placeholders = template.BATCH_NAMES if timing.batch else template.NAMES
    whole = placeholders[0]
    body = action.table("template") or {whole: f"{{{whole}}}"}
    path = action.string("path", "")
    for key, value in body.items():
        if reason := template.unsayable(value):
            raise action.error(rf"{re.escape(key)}[\"']?(?=\s*[.=])", f"template: {key}: {reason}")
    for part in (path, body):
        for placeholder in template.unknown(part, placeholders):
            raise action.error(re.escape(f"{{{placeholder}}}"), _misplaced(placeholder, placeholders))
    if path == f"{{{whole}}}":
        raise action.error("path", _misplaced(whole, placeholders))
    if path and not path.startswith("/"):
        raise action.error("path", f"{path!r} must begin with /")
    glob, exclude = table.strings("glob", ("**",)), table.strings("exclude", ())
    return Trigger(
        name=name,
        glob=glob,
        exclude=exclude,
        kinds=tuple(table.strings("kinds", KINDS, KINDS)),
        timing=timing,
        target=action.one_of("target", tuple(targets)),
        path=path,
        template=body,
        matches=table.globs("glob", glob),
        excludes=table.globs("exclude", exclude),
    )


def _misplaced(placeholder: str, placeholders: tuple[str, ...]) -> str:
    if placeholder == placeholders[0]:
        others = ", ".join(f"{{{name}}}" for name in placeholders[1:3])
        return f"{{{placeholder}}} is the whole object and stands alone: in a text use {others}, ..."
    if placeholder in template.NAMES:
        return f"{{{placeholder}}} is of one change, and a batch has many: {among(placeholders)}"
    if placeholder in template.BATCH_NAMES:
        return f"{{{placeholder}}} needs `batch`: {among(placeholders)}"
    return f"unknown placeholder {{{placeholder}}}: {among(placeholders)}"
