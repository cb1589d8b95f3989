"""The plan of a release: which version, which images are built or reused, which tags move.

Pure: everything that a plan depends on is in the World, which is read before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from semver import Version

from build.errors import RepositoryError, VersionTaken
from build.git.commits import standing
from build.git.conventional import NearMiss, near_misses
from build.git.tags import Versions
from build.git.versions import LineHistory, in_range, parse_tag
from build.release import floats
from build.release.names import git_tag
from build.release.request import Request, version_for
from build.release.world import Details, Due, World, channel_of

_ALL_THE_SAME = " (--version releases it all the same)"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedService:
    """What happens to one service, and why; `digest` is known for an image that is reused."""

    service: str
    action: Literal["build", "reuse"]
    why: str
    fingerprint: str
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTag:
    """A tag that will move, with its digests: `before` is "" for a new tag, `after` for an image not built yet."""

    repository: str
    tag: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedLine:
    """The release of one line; `previous` is the version before it, `bump` what led to this one."""

    line: str
    version: str
    tag: str
    previous: str
    bump: str
    services: tuple[PlannedService, ...]
    tags: tuple[PlannedTag, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a release will do; `basis` is what it was computed from, each part as a hash.

    `unfinished` are the tags of interrupted releases that are finished first, `nothing` says why no line is released.
    `near_misses` are commits since the last release that were probably meant to bump a version, and do not.
    """

    schema: int = 1
    commit: str
    registry: str
    request: Request
    basis: dict[str, str]
    lines: tuple[PlannedLine, ...] = ()
    unfinished: tuple[str, ...] = ()
    nothing: str = ""
    near_misses: tuple[NearMiss, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """One line that the request is about: its version and bump, or the reason why it is not released."""

    line: LineHistory
    version: Version | None = None
    bump: str = ""
    newer: Mapping[str, Version] = dataclasses.field(default_factory=dict)
    reason: str = ""


def due(world: World, request: Request) -> dict[str, Due]:
    """The lines that the request releases, unless a newer release contains HEAD; `world` needs no details for this.

    Raises as `compute` does.
    """
    return {
        draft.line.line.name: Due(version=draft.version, newer=draft.newer)
        for draft in _drafts(world, request)
        if draft.version is not None
    }


def compute(world: World, request: Request, *, unfinished: tuple[str, ...] = ()) -> Plan:
    """The plan for a request, from a world with details of every line that is due.

    Raises RepositoryError if no version fits, VersionTaken if the requested version is taken or burned.
    """
    lines = []
    reasons = []
    for draft in _drafts(world, request):
        if draft.version is None:
            reasons.append(draft.reason)
            continue
        details = world.details[draft.line.line.name]
        if details.containing:
            newest = max(details.containing, key=lambda tag: draft.newer[tag])
            reasons.append(f"this commit is in {newest} already{_ALL_THE_SAME}")
        else:
            lines.append(_line(world, draft.line, draft.version, draft.bump, details))
    return Plan(
        commit=world.history.commit,
        registry=world.manifest.home,
        request=request,
        basis=basis(world),
        lines=tuple(lines),
        unfinished=unfinished,
        nothing="" if lines else "; ".join(reasons),
        near_misses=tuple(dict.fromkeys(_near_misses(world, request))),
    )


def _near_misses(world: World, request: Request) -> Iterator[NearMiss]:
    for line in world.history.lines.values():
        if not request.services or set(request.services) & set(line.line.services):
            yield from near_misses(standing(line.commits), world.manifest.release)


def _drafts(world: World, request: Request) -> Iterator[_Draft]:
    for line in world.history.lines.values():
        if request.services and not set(request.services) & set(line.line.services):
            continue
        if tag := world.released_here(line, request.version, request.pre):
            withdrawn = parse_tag(line.line.prefix, tag) in world.known[line.line.name].yanked
            state = "was released and withdrawn as" if withdrawn else "is released as"
            yield _Draft(line=line, reason=f"this commit {state} {tag}{'' if request.version else _ALL_THE_SAME}")
            continue
        version, bump = _version(world, line, request)
        if version is None:
            since = line.last or "the beginning"
            yield _Draft(line=line, reason=f"{line.line.name}: no commit since {since} bumps a version")
            continue
        newer = {} if request.version else _newer(world, line, version)
        yield _Draft(line=line, version=version, bump=bump, newer=newer)


def taken(world: World, line: LineHistory) -> Versions:
    """Every version of a line that is taken: in this clone, on the remote or in the registry."""
    known = world.known[line.line.name]
    return Versions([*world.claimed(line), *known.complete, *known.foreign], keys=line.taken.keys)


def _version(world: World, line: LineHistory, request: Request) -> tuple[Version | None, str]:
    return version_for(
        request, line, taken=taken(world, line), manifest=world.manifest, branch=world.history.branch
    )  # fmt: skip


def _newer(world: World, line: LineHistory, version: Version) -> dict[str, Version]:
    """The releases (tag → version) above the last one of this history: if one contains HEAD, `version` is a step back.

    A withdrawn or abandoned release does not count, nor a version outside the range of a maintenance branch, nor a
    pre-release of a later version.
    """
    known = world.known[line.line.name]
    void = known.yanked | known.abandoned
    return {
        tag: other for other, tag in world.claimed(line).items()
        if (line.last is None or other > line.last) and other not in void and in_range(other, world.history.branch)
        and (not other.prerelease or other < version)
    }  # fmt: skip


def lost(world: World, plan: Plan, commits: Mapping[str, str]) -> list[str]:
    """Why planned lines can't be claimed any more: another release took the version, or is of the same commit.

    `commits` are the tags on the remote at this moment, with the commits that they name.
    """
    current = dataclasses.replace(world, claims=commits)
    reasons = []
    for planned in plan.lines:
        line = world.history.lines[planned.line]
        channel = channel_of(Version.parse(planned.version))
        rivals = [
            tag for version, tag in current.claimed(line).items()
            if tag not in world.claims and commits[tag] == plan.commit and channel_of(version) == channel
        ]  # fmt: skip
        if rivals and not plan.request.version:
            reasons.append(f"this commit is released as {rivals[0]}")
            continue
        try:
            version, _ = _version(current, line, plan.request)
        except (RepositoryError, VersionTaken):
            version = None
        if str(version) != planned.version:
            reasons.append(planned.tag)
    return reasons


def _line(world: World, line: LineHistory, version: Version, bump: str, details: Details) -> PlannedLine:
    previous = details.previous
    services = tuple(_service(world, line, name, details) for name in line.line.services)
    return PlannedLine(
        line=line.line.name,
        version=str(version),
        tag=git_tag(line.line, version),
        previous=previous.version if previous else str(line.last or ""),
        bump=bump,
        services=services,
        tags=tuple(_tags(world, line, version, services, details)),
    )


def _service(world: World, line: LineHistory, name: str, details: Details) -> PlannedService:
    fingerprint, previous = world.fingerprints[name], details.previous
    for origin in world.origins(line, name, previous):
        if origin in details.proven:
            return PlannedService(
                service=name, action="reuse", why=origin.why, fingerprint=fingerprint, digest=origin.digest
            )  # fmt: skip
    released = previous.services.get(name) if previous else None
    changed = previous is not None and released is not None and released.fingerprint != fingerprint
    why = f"changed since {previous.version}" if changed and previous else "not in the registry yet"
    return PlannedService(service=name, action="build", why=why, fingerprint=fingerprint)


def _tags(
    world: World, line: LineHistory, version: Version, services: tuple[PlannedService, ...], details: Details
) -> Iterator[PlannedTag]:
    for service in services:
        for repository, tag in world.moving(line, version, [service.service]):
            yield _tag(repository, tag, version, before=details.before[repository, tag], after=service.digest)


def _tag(repository: str, tag: str, version: Version, *, before: str, after: str) -> PlannedTag:
    if tag == str(version) and before and before != after:
        message = f"{repository}:{tag} is in the registry already, as {before}: the version is burned"
        other = version.bump_prerelease() if version.prerelease else version.bump_patch()
        raise VersionTaken(message, hint=f"release another: ./inv release --version {other}")
    return PlannedTag(repository=repository, tag=tag, before=before, after=after)


def basis(world: World) -> dict[str, str]:
    """What a plan depends on, each part as a hash, so that a saved plan can be refused when a part changed."""
    versions, floating = {}, {}
    for name, known in world.known.items():
        versions[name] = sorted(map(str, known.complete | known.yanked | known.foreign))
        floating[name] = {tag: str(version) for tag, version in floats.winners(known.eligible).items()}
    unsigned = dataclasses.replace(world.manifest.signing, key_file="", password_file="")  # only where it is made
    manifest = dataclasses.replace(world.manifest, root=Path(), signing=unsigned)
    return {
        "HEAD": world.history.commit,
        "the remote's tags": _hash(sorted(world.claims.items())),
        "the registry": _hash([versions, floating, world.manifest.home]),
        "the manifest": _hash(repr(manifest)),
        "the images' sources": _hash(sorted(world.fingerprints.items())),
    }


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
