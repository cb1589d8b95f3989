"""Pure rules of versions: no git, no registry."""

from __future__ import annotations

from dataclasses import dataclass

from build.errors import RepositoryError


@dataclass(frozen=True, kw_only=True, slots=True)
class GitState:
    """The commit at HEAD: full hash, commit time (seconds since 1970), nearest version tag, commits since it, dirt.

    `tag` is None when no v* tag is reachable; `distance` then counts all commits.
    """

    commit: str
    committed: int
    tag: str | None
    distance: int
    dirty: bool
    remote: str


def snapshot(state: GitState, first: str) -> str:
    """The version of an unreleased commit: 1.4.1-dev.7.g1a2b3c4, with .dirty for uncommitted changes.

    Valid as SemVer 2.0 and as an image tag. `first` is what counting starts from while there is no tag.
    Raises RepositoryError when the nearest tag is no semantic version.
    """
    import semver

    if state.tag is None:
        base = semver.Version.parse(first)
    else:
        try:
            tagged = semver.Version.parse(state.tag.removeprefix("v")).replace(build=None)
        except ValueError:
            message = f"the nearest version tag is {state.tag!r}, which is no semantic version"
            raise RepositoryError(message, hint=f"git tag -d {state.tag}, or tag this line of history vX.Y.Z") from None
        if state.distance == 0 and not state.dirty:
            return str(tagged)
        base = tagged if tagged.prerelease else tagged.bump_patch()
    # Behind a pre-release it extends that one: 1.5.0-dev.2 would rank below 1.5.0-rc.1 (SemVer 2.0, section 11).
    version = f"{base}{'.' if base.prerelease else '-'}dev.{state.distance}.g{state.commit[:7]}"
    return f"{version}.dirty" if state.dirty else version
