"""Where an owner's requirements contradict the lock of the service they are installed beside.

The image's build calls it, and `./inv sources` before a build. Forms: pip's requirements file format, PEP 508 for a
line, and the `# via` comments that `uv pip compile` writes. What the owner's packages need in turn is not seen here:
that takes an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"\s--(?:hash|config-settings?|global-option)[= ]\S+")
_HASH = re.compile(r"--hash=\S+")
_PIN = re.compile(r"===?\s*([^\s;,]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """One line of the owner's that the lock contradicts."""

    package: str
    specifier: str  # as the owner wrote it: "==24.4.0"
    version: str  # what the service has
    line: int  # in the owner's file, from 1
    required_by: tuple[str, ...] = ()  # who needs it in the service, as far as the lock or the caller says


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    number: int
    count: int  # of physical lines
    text: str  # joined, without comments and options
    hashes: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class _Locked:
    version: str
    hashes: tuple[str, ...]
    via: list[str]


def _lines(text: str) -> Iterator[_Line]:
    physical = text.removeprefix("\ufeff").splitlines()
    number = 0
    while number < len(physical):
        first, parts = number, []
        while number < len(physical):
            part = _COMMENT.sub("", physical[number])
            number += 1
            parts.append(part.rstrip().removesuffix("\\"))
            if not part.rstrip().endswith("\\"):
                break
        joined = " ".join(part.strip() for part in parts).strip()
        if joined:
            stripped = _OPTION.sub("", f" {joined}").strip()
            hashes = tuple(_HASH.findall(joined))
            yield _Line(number=first + 1, count=number - first, text=stripped, hashes=hashes)


def _requirement(line: _Line) -> Requirement | None:
    try:
        return Requirement(line.text)
    except InvalidRequirement:
        return None


def _applies(requirement: Requirement, environment: Mapping[str, str] | None) -> bool:
    if requirement.marker is None:
        return True
    known: dict[str, Any] = {**default_environment(), **(environment or {})}
    return requirement.marker.evaluate(known)


def _via(text: str) -> dict[int, list[str]]:
    """Return who requires a package, by the number of the line that its entry begins on."""
    found: dict[int, list[str]] = {}
    entry = 0
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"[A-Za-z0-9]", line):
            entry = number
        elif entry and (comment := re.match(r"\s+#\s*(via\b)?\s*(.*)$", line)) and comment[2]:
            found.setdefault(entry, []).extend(name.strip() for name in comment[2].split(","))
    return found


def _locked(lock: str, environment: Mapping[str, str] | None) -> dict[str, _Locked]:
    entries: dict[str, _Locked] = {}
    via = _via(lock)
    for line in _lines(lock):
        requirement = _requirement(line)
        if requirement is None or not _applies(requirement, environment):
            continue
        if pin := _PIN.fullmatch(str(requirement.specifier)):
            entry = _Locked(version=pin[1], hashes=line.hashes, via=via.get(line.number, []))
            entries[canonicalize_name(requirement.name)] = entry
    return entries


def _contradicting(
    owner: str, entries: Mapping[str, _Locked], environment: Mapping[str, str] | None
) -> Iterator[tuple[_Line, Requirement, _Locked]]:
    for line in _lines(owner):
        requirement = _requirement(line)
        if requirement is None or not _applies(requirement, environment):
            continue
        entry = entries.get(canonicalize_name(requirement.name))
        if entry and not requirement.specifier.contains(Version(entry.version), prereleases=True):
            yield line, requirement, entry


def conflicts(
    owner: str,
    lock: str,
    *,
    required_by: Mapping[str, Sequence[str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[Conflict]:
    """Return every line of `owner` that the versions in `lock` contradict, in the order of the lines.

    `required_by` says who needs a package (by its canonical name) where the lock has no `# via` comments; `environment`
    holds the markers of the Python that the packages are for, where it is another than this one.
    """
    return [
        Conflict(
            package=requirement.name,
            specifier=str(requirement.specifier),
            version=entry.version,
            line=line.number,
            required_by=tuple(entry.via or (required_by or {}).get(canonicalize_name(requirement.name), ())),
        )
        for line, requirement, entry in _contradicting(owner, _locked(lock, environment), environment)
    ]


def preferring_service(owner: str, lock: str, *, environment: Mapping[str, str] | None = None) -> str:
    """Return `owner` with the service's version in every line that `conflicts` names; all other lines stay."""
    physical = owner.removeprefix("\ufeff").splitlines()
    for line, requirement, entry in _contradicting(owner, _locked(lock, environment), environment):
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        hashes = "".join(f" {item}" for item in entry.hashes) if line.hashes else ""
        first = line.number - 1
        replaced = f"{requirement.name}{extras}=={entry.version}{marker}{hashes}"
        physical[first : first + line.count] = [replaced, *[""] * (line.count - 1)]
    return "\n".join([*physical, ""])


def unread(owner: str) -> list[tuple[int, str]]:
    """Return the lines of `owner` that name other files, with their numbers: only this one file is read."""
    other = re.compile(r"(?:-r|-c|-e|--requirement|--constraint|--editable)(?![\w-])|\.{1,2}(?:/|$)|/|file:")
    return [(line.number, line.text) for line in _lines(owner) if other.match(line.text)]
