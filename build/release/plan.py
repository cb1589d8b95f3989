"""The plan of a release: which version, which images are built or taken over, which tags move. Computes, never acts.

A plan can be saved and reviewed. What it was computed from is in it as hashes, so that applying it can refuse when the
commit, the remote's tags, the registry or the manifest are not what they were.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from semver import Version

from build import json_file
from build.config.manifest import Manifest
from build.errors import RepositoryError, VersionTaken
from build.git import history as git_history
from build.git.remote import tags_containing
from build.git.tags import Versions
from build.git.versions import History, Line, LineHistory, in_range, parse_tag, revision
from build.images.image import Image
from build.images.store import recorded
from build.parallel import at_once
from build.registry.client import Distribution
from build.release import floats, publish
from build.release.publish import Known
from build.release.record import REPOSITORY, Record
from build.release.request import Wish, version_for


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedService:
    """What becomes of one service: `digest` is known for one that is taken over, `why` says from where or why not."""

    service: str
    action: Literal["build", "reuse"]
    why: str
    fingerprint: str
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTag:
    """A tag that will move: the digests before and after; empty where it is new, or its image is not built yet."""

    repository: str
    tag: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedLine:
    """One line's release."""

    line: str
    version: str
    tag: str
    previous: str
    bump: str
    services: tuple[PlannedService, ...]
    tags: tuple[PlannedTag, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything a release will do, and the state of the world that it was computed from."""

    schema: int = 1
    commit: str
    registry: str
    wish: Wish
    state: dict[str, str]
    lines: tuple[PlannedLine, ...] = ()
    unfinished: tuple[str, ...] = ()
    nothing: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What a plan is computed from: the manifest, git here and on the remote, the registry, fingerprints of now."""

    manifest: Manifest
    history: History
    remote_tags: Mapping[str, str]
    registry: Distribution
    known: Mapping[str, Known]
    fingerprints: Mapping[str, str]


def repository(manifest: Manifest, line: str) -> str:
    """The release repository of a line: NAMESPACE/release, or in independent mode NAMESPACE/release/SERVICE."""
    namespace = manifest.registry.namespace
    lockstep = manifest.release.mode == "lockstep"
    return f"{namespace}/{REPOSITORY}" if lockstep else f"{namespace}/{REPOSITORY}/{line}"


def versions_of(line: Line, tags: Mapping[str, str]) -> dict[Version, str]:
    """The versions of a line among some tags, each with its tag."""
    return {version: tag for tag in tags if (version := parse_tag(line.prefix, tag)) is not None}


def compute(
    world: World, wish: Wish, *, unfinished: tuple[str, ...] = (), done: Mapping[str, Record] | None = None
) -> Plan:
    """The plan for a wish, but for the lines that are `done`: what was just finished there is what it asks for.

    Raises RepositoryError when no version fits, VersionTaken when one is burned.
    """
    made = []
    reasons = []
    for name, line in world.history.lines.items():
        if wish.services and not set(wish.services) & set(line.line.services):
            continue
        if done and name in done:
            reasons.append(f"{done[name].tag} is of this commit, and is finished")
            continue
        version, bump = _version(world, line, wish)
        if version is None:
            reasons.append(f"{name}: no commit since {line.last or 'the beginning'} bumps a version")
            continue
        if overtaken := _overtaken_by(world, line, wish, version):
            reasons.append(f"this commit is in {overtaken} already (--version releases it all the same)")
            continue
        made.append(_line(world, line, version, bump))
    return Plan(
        commit=world.history.commit,
        registry=world.manifest.home,
        wish=wish,
        state=fingerprint(world),
        lines=tuple(made),
        unfinished=unfinished,
        nothing="" if made else "; ".join(reasons),
    )


def taken(world: World, line: LineHistory) -> Versions:
    """Every version of a line that somebody has: here, on the remote or in the registry."""
    known = world.known[line.line.name]
    elsewhere = [*versions_of(line.line, world.remote_tags), *known.complete, *known.foreign]
    return Versions(elsewhere, keys=line.taken.keys)


def _version(world: World, line: LineHistory, wish: Wish) -> tuple[Version | None, str]:
    return version_for(
        wish, line, taken=taken(world, line), manifest=world.manifest, branch=world.history.branch
    )  # fmt: skip


def _overtaken_by(world: World, line: LineHistory, wish: Wish, version: Version) -> str:
    """The tag of a newer release that has HEAD in it; then what is released now would take that one's changes back.

    What was withdrawn does not count, nor what a maintenance branch may not release, nor a pre-release of a later
    version. Without a newer version anywhere git is not asked.
    """
    if wish.version:
        return ""
    yanked = world.known[line.line.name].yanked
    newer = {
        tag: one for one, tag in versions_of(line.line, world.remote_tags).items()
        if (line.last is None or one > line.last) and one not in yanked and in_range(one, world.history.branch)
        and (not one.prerelease or one < version)
    }  # fmt: skip
    found = tags_containing(world.manifest.root, world.history.commit, newer)
    return max(found, key=lambda tag: newer[tag], default="")


def lost(world: World, plan: Plan) -> list[str]:
    """The planned tags whose version a release of now would not get any more, because of another one."""
    gone = []
    for planned in plan.lines:
        line = world.history.lines[planned.line]
        try:
            version, _ = _version(world, line, plan.wish)
        except (RepositoryError, VersionTaken):
            version = None
        if str(version) != planned.version:
            gone.append(planned.tag)
    return gone


def _line(world: World, line: LineHistory, version: Version, bump: str) -> PlannedLine:
    previous = _previous(world, line)
    services = tuple(_service(world, name, previous) for name in line.line.services)
    return PlannedLine(
        line=line.line.name,
        version=str(version),
        tag=f"{line.line.prefix}{version}",
        previous=previous.version if previous else str(line.last or ""),
        bump=bump,
        services=services,
        tags=tuple(_tags(world, line.line, version, services)),
    )


def _previous(world: World, line: LineHistory) -> Record | None:
    """The record of the release that this one is built on, where the registry has it."""
    name = line.line.name
    if line.last is None or line.last not in world.known[name].complete:
        return None
    return publish.fetch(world.registry, repository(world.manifest, name), str(line.last))


def _service(world: World, name: str, previous: Record | None) -> PlannedService:
    """Whether the service must be built: an image of the same fingerprint that the registry has is taken over."""
    mark, repository = world.fingerprints[name], f"{world.manifest.registry.namespace}/{name}"
    for digest, why in _of_fingerprint(world, name, mark, previous):
        if world.registry.digest(repository, digest):
            return PlannedService(service=name, action="reuse", why=why, fingerprint=mark, digest=digest)
    changed = previous is not None and name in previous.services and previous.services[name].fingerprint != mark
    why = f"changed since {previous.version}" if changed and previous else "not in the registry yet"
    return PlannedService(service=name, action="build", why=why, fingerprint=mark)


def _of_fingerprint(world: World, name: str, mark: str, previous: Record | None) -> Iterator[tuple[str, str]]:
    """The images that were made of what there is now: digest, and where it is known from."""
    manifest = world.manifest
    before = previous.services.get(name) if previous else None
    if previous and before and before.fingerprint == mark:
        yield before.digest, f"unchanged since {previous.version}"
    staged = json_file.read(manifest.workspace.candidates).get(name)
    if staged and staged["fingerprint"] == mark:
        yield staged["digest"], "staged by an earlier try"
    image = recorded(manifest).get(name)
    pushed = image and image.pushed and image.name == manifest.image(name) and image.fingerprint == mark
    if image and pushed and _labelled_truly(world, image):
        yield image.digest, f"built as {image.tag}"


def _labelled_truly(world: World, image: Image) -> bool:
    """Whether the commit that an image's labels name is HEAD or behind it, and the image is what was committed."""
    made_of = revision(image.tag, world.history.of(image.service).line.prefix)
    return bool(made_of) and (
        world.history.commit.startswith(made_of) or git_history.reached(world.manifest.root, made_of)
    )  # fmt: skip


def _tags(world: World, line: Line, version: Version, services: tuple[PlannedService, ...]) -> list[PlannedTag]:
    eligible = {*world.known[line.name].eligible, version}
    winners = floats.winners(eligible)
    moving = [str(version), *(name for name in floats.names(version) if winners[name] == version)]
    wanted = [
        (f"{world.manifest.registry.namespace}/{one.service}", tag, one.digest) for one in services for tag in moving
    ]
    before = at_once(lambda item: world.registry.digest(item[0], item[1]) or "", wanted)
    planned = []
    for (target, tag, after), now in zip(wanted, before, strict=True):
        if tag == str(version) and now and now != after:
            message = f"{target}:{tag} is in the registry already, as {now}: the version is burned"
            other = version.bump_prerelease() if version.prerelease else version.bump_patch()
            raise VersionTaken(message, hint=f"release another: ./inv release --version {other}")
        planned.append(PlannedTag(repository=target, tag=tag, before=now, after=after))
    return planned


def fingerprint(world: World) -> dict[str, str]:
    """What a plan depends on, each part as a hash."""
    manifest = dataclasses.replace(world.manifest, root=type(world.manifest.root)())
    registry = {name: sorted(map(str, one.complete | one.yanked | one.foreign)) for name, one in world.known.items()}
    floating = {
        name: {key: str(value) for key, value in floats.winners(one.eligible).items()}
        for name, one in world.known.items()
    }
    return {
        "HEAD": world.history.commit,
        "the remote's tags": _hash(sorted(world.remote_tags.items())),
        "the registry": _hash([registry, floating, world.manifest.home]),
        "the manifest": _hash(repr(manifest)),
        "the images' sources": _hash(sorted(world.fingerprints.items())),
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
