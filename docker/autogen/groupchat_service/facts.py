"""Reads a monitoring event and its compile errors out of a task, whatever the text around them looks like."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

MAX_RECORDS = 500
_MAX_CANDIDATES = 20
_COMPILE_LINE = re.compile(
    r"^(?P<file>[^\r\n():]+(?::[^\r\n():]+)?)\((?P<line>\d+)(?:,(?P<column>\d+))?\):\s*"
    r"(?P<severity>error|warning)\s+(?P<code>[A-Z]+\d+):\s*(?P<message>[^\r\n]+)",
    re.MULTILINE,
)
_SCRIPTS = (".ps1", ".psm1", ".psd1")
Json = dict[str, Any]


def facts_in(text: str) -> Json:
    """What the text tells: path, kind, counts, errors by file and code, the risk and its reasons."""
    found = first_object(text)
    event = _event(found)
    summary = found.get("summary", found)
    records = _records(found) if found else _compile_lines(text)
    errors = [record for record in records if record["severity"] == "error"]
    facts: Json = {
        "path": str(event.get("path", "")),
        "kind": str(event.get("kind", "")),
        "errors": max(len(errors), _counted(summary, "error")),
        "warnings": max(len(records) - len(errors), _counted(summary, "warning")),
        "codes": dict(Counter(record["code"] for record in errors if record["code"]).most_common()),
        "groups": _groups(errors),
        "details": _scalars(summary) if not records else {},
        "problem": _problem(summary),
    }
    facts["reasons"] = _reasons(facts)
    facts["risk"] = "high" if facts["reasons"] else "low"
    facts["known"] = bool(facts["path"] or records or facts["errors"])
    return facts


def first_object(text: str) -> Json:
    """The first non-empty JSON object in the text, or an empty one."""
    decoder = json.JSONDecoder()
    at = -1
    for _ in range(_MAX_CANDIDATES):
        at = text.find("{", at + 1)
        if at < 0:
            break
        try:
            value, _end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value:
            return value
    return {}


def _event(found: Json) -> Json:
    event = found.get("event", found)
    return event if isinstance(event, dict) and ("path" in event or "kind" in event) else {}


def _records(found: Json) -> list[Json]:
    records: list[Json] = []
    for value in _walk(found):
        if len(records) >= MAX_RECORDS:
            break
        if isinstance(value, dict):
            lower = {str(key).lower(): item for key, item in value.items()}
            if "severity" in lower and "message" in lower:
                records.append(_record(lower))
        elif isinstance(value, str) and "): " in value:
            records.extend(_compile_lines(value))
    return records[:MAX_RECORDS]


def _walk(value: object) -> Iterator[object]:
    pending = [value]
    while pending:
        item = pending.pop()
        yield item
        if isinstance(item, dict):
            pending.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            pending.extend(reversed(item))


def _record(lower: Json) -> Json:
    severity = str(lower["severity"]).lower()
    return {
        "file": str(lower.get("file") or lower.get("path") or ""),
        "line": lower.get("line") if isinstance(lower.get("line"), int) else None,
        "severity": "error" if severity in {"error", "fatal"} else "warning",
        "code": str(lower.get("code") or ""),
        "message": str(lower["message"])[:300],
    }


def _compile_lines(text: str) -> list[Json]:
    return [
        {
            "file": match["file"].strip(),
            "line": int(match["line"]),
            "severity": match["severity"],
            "code": match["code"],
            "message": match["message"].strip()[:300],
        }
        for match, _ in zip(_COMPILE_LINE.finditer(text), range(MAX_RECORDS), strict=False)
    ]


def _groups(errors: list[Json]) -> list[Json]:
    """Errors of one code in one file belong together: the first line and message stand for all."""
    groups: dict[tuple[str, str], Json] = {}
    for error in errors:
        key = (error["file"], error["code"])
        group = groups.setdefault(key, {**error, "count": 0})
        group["count"] += 1
    return list(groups.values())


def _counted(summary: object, word: str) -> int:
    if not isinstance(summary, dict):
        return 0
    for key, value in summary.items():
        if str(key).lower().replace("_", "") in {word, f"{word}s", f"{word}count"} and type(value) is int and value > 0:
            return value
    return 0


def _scalars(summary: object) -> Json:
    """Numbers and short words of a summary that is not a list of errors, such as a folder's file count."""
    kept: Json = {}
    for value in _walk(summary if isinstance(summary, (dict, list)) else {}):
        if isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, (int, float)) and not isinstance(item, bool) and len(kept) < 8:
                    kept.setdefault(str(key)[:40], item)
    return kept


def _problem(summary: object) -> str:
    if not isinstance(summary, dict) or summary.get("ok") is not False:
        return ""
    errors = summary.get("errors") or summary.get("error") or "no reason given"
    first = errors[0] if isinstance(errors, list) and errors else errors
    return str(first)[:200]


def _reasons(facts: Json) -> list[str]:
    reasons = []
    if facts["errors"]:
        reasons.append(f"{facts['errors']} compile error{'s' if facts['errors'] != 1 else ''}")
    if facts["kind"] == "deleted":
        reasons.append("a file was deleted")
    if facts["path"].lower().endswith(_SCRIPTS):
        reasons.append("a script that runs with rights was touched")
    return reasons
