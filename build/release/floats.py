"""Floating tags, X.Y and X: a pure function of the set of complete releases, so no order of events drags them back."""

from __future__ import annotations

from collections.abc import Iterable

from semver import Version


def winners(releases: Iterable[Version]) -> dict[str, Version]:
    """Each float → the release it must name: the highest stable one of its line, in SemVer order (section 11).

    Pre-releases are never named and never hold a float back. `releases` are the complete ones that are not yanked.
    """
    found: dict[str, Version] = {}
    for version in releases:
        if version.prerelease:
            continue
        for name in names(version):
            found[name] = max(found.get(name, version), version)
    return found


def names(version: Version) -> tuple[str, ...]:
    """The floats that a stable version may hold: 1.4 and 1 for 1.4.2; none for a pre-release."""
    return () if version.prerelease else (f"{version.major}.{version.minor}", str(version.major))
