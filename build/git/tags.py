"""Version tags: which tags are versions, and sorting thousands of them without parsing each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semver import Version

YANKED = "-yanked"  # suffix of a version: the tag that marks a withdrawn release in the registry
# major, minor, patch, pre-release ("" for a final version): a version without build metadata.
Key = tuple[int, int, int, str]
NUMBER = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER = rf"(?:{NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
SEMVER = (
    rf"({NUMBER})\.({NUMBER})\.({NUMBER})"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


_VERSIONS = re.compile(f"^({SEMVER})$", re.MULTILINE)


class Versions(Set["Version"]):
    """An immutable set of versions, parsed lazily because a clone may have thousands of tags.

    Build metadata is ignored: the set contains 1.4.0+a if it contains 1.4.0.
    """

    __slots__ = ("keys",)

    def __init__(self, versions: Iterable[Version] = (), *, keys: Iterable[Key] = ()) -> None:
        self.keys: frozenset[Key] = frozenset([*keys, *map(key_of, versions)])

    def __contains__(self, version: object) -> bool:
        from semver import Version

        return isinstance(version, Version) and key_of(version) in self.keys

    def __iter__(self) -> Iterator[Version]:
        return map(of_key, self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __hash__(self) -> int:
        return hash(self.keys)

    def __repr__(self) -> str:
        return f"Versions({', '.join(str(of_key(key)) for key in sorted(self.keys, key=precedence))})"


def key_of(version: Version) -> Key:
    """Return the version's key; build metadata is dropped."""
    return version.major, version.minor, version.patch, version.prerelease or ""


def of_key(key: Key) -> Version:
    """Return the version of a key."""
    from semver import Version

    major, minor, patch, pre = key
    return Version(major, minor, patch, pre or None)


def precedence(key: Key) -> tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]]:
    """Return a sort key with the precedence of SemVer 2.0, section 11."""
    major, minor, patch, pre = key
    if not pre:
        return major, minor, patch, True, ()
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))
    return major, minor, patch, False, parts


def tags_of(prefix: str, refs: str) -> list[tuple[Key, str]]:
    """Return (version, tag) for each version tag behind `prefix` in `refs` (full ref names, one per line)."""
    _, *own = f"\n{refs}".split(f"\nrefs/tags/{prefix}")
    versions = "\n".join([version.partition("\n")[0] for version in own])
    return [
        ((int(major), int(minor), int(patch), pre), prefix + version)
        for version, major, minor, patch, pre, _ in _VERSIONS.findall(versions)
    ]  # fmt: skip
