"""Everything that a plan depends on, read before it is computed: git, the remote, the registry, this checkout.

It is read in two passes, because what the second one asks depends on what the first one found: `read_world` for every
line, then `examine` for the lines that are to be released.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from semver import Version

from build.config.manifest import Manifest
from build.errors import BaseUnavailable
from build.git import history as git_history
from build.git.remote import tags_at, tags_containing
from build.git.versions import History, LineHistory
from build.images import bases, store
from build.images.bases import Resolved
from build.images.image import Image
from build.images.plan import BuildPlan, plan_build
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release import candidates, ci, floats
from build.release.candidates import Staged
from build.release.names import service_repository, versions_of
from build.release.published import Known, Published
from build.release.record import Record
from build.release.reuse import Origin, origins


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What `examine` learns of a line that is to be released.

    `containing`: the newer release tags that have HEAD in their history. `previous`: the record of the last release,
    if the registry has it. `proven`: images of the line's services that the registry has and that HEAD's history
    accounts for. `before`: the digests of the tags that would move, by (repository, tag); "" for a new tag.
    """

    containing: tuple[str, ...] = ()
    previous: Record | None = None
    proven: frozenset[Origin] = frozenset()
    before: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What a plan is computed from. Data only: nothing here reads anything.

    `claims` are the version tags of the remote (tag → object), and `here` those of them that name HEAD. `known` and
    `details` are by line; `fingerprints`, `staged` (candidates of an earlier run) and `built` (the last build of this
    checkout) by service.
    """

    manifest: Manifest
    history: History
    claims: Mapping[str, str]
    known: Mapping[str, Known]
    fingerprints: Mapping[str, str]
    here: frozenset[str] = frozenset()
    staged: Mapping[str, Staged] = field(default_factory=dict)
    built: Mapping[str, Image] = field(default_factory=dict)
    details: Mapping[str, Details] = field(default_factory=dict)

    @property
    def pushed_branch(self) -> str:
        """The branch that is pushed together with the tag, or ""."""
        return (self.history.branch or "") if self.manifest.release.push_branch else ""

    def claimed(self, line: LineHistory) -> dict[Version, str]:
        """Map each version of a line on the remote to its tag."""
        return versions_of(line.line, self.claims)

    def released_here(self, line: LineHistory, version: str, channel: str) -> str:
        """The tag of the complete release of HEAD that answers a request on a line, "" if there is none.

        A commit is released once on a line: a final release answers every bump, a pre-release every bump of its
        `channel`. A given `version` is answered by itself alone.
        """
        complete, prefix = self.known[line.line.name].complete, line.line.prefix
        found = {
            other: tag for other, tag in self.claimed(line).items() if tag in self.here and other in complete
            and (str(other) == version.removeprefix(prefix) if version else channel_of(other) == channel)
        }  # fmt: skip
        return found[max(found)] if found else ""

    def origins(self, line: LineHistory, service: str, previous: Record | None) -> Iterator[Origin]:
        """The images that may already exist for the current sources of a service, best first."""
        return origins(
            service,
            self.fingerprints[service],
            previous=previous,
            staged=self.staged.get(service),
            built=self.built.get(service),
            image=self.manifest.image(service),
            tag_prefix=line.line.prefix,
        )

    def moving(self, line: LineHistory, version: Version, services: Iterable[str]) -> list[tuple[str, str]]:
        """The tags, as (repository, tag), that a release of this version puts on images of its line."""
        tags = (str(version), *floats.won_by(version, self.known[line.line.name].eligible))
        return [(service_repository(self.manifest, name), tag) for name in services for tag in tags]


def channel_of(version: Version) -> str:
    """The pre-release channel of a version: rc of 1.4.0-rc.1, "" of a final one."""
    return (version.prerelease or "").partition(".")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A line that is to be released: its version, and the newer releases (tag → version) that may contain HEAD."""

    version: Version
    newer: Mapping[str, Version]


def read_world(
    manifest: Manifest, published: Published, claims: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[World, BuildPlan]:
    """Read the world, without details, and the plan of a build of all services, whose versions are not known yet.

    Only the tags in `claims` count: they are on the remote, and what they left unfinished is finished. Versions are not
    counted from one that came to nothing. A detached HEAD, as in a GitLab job, is on the branch that the CI system
    names in `environment`.
    Raises RepositoryError for a clone without its history, BaseUnavailable if a base can't be had (a release has
    every service, or is not made), RegistryError.
    """
    known = published.all_known(again=False)
    abandoned = {tag for line in published.lines for tag in published.tags(line, known[line.name].abandoned)}
    history = git_history.read(manifest, tags=claims.keys() - abandoned)
    git_history.require_full(history)
    history = replace(history, branch=history.branch or ci.branch(environment))
    services = list(manifest.services)
    build_plan = plan_build(manifest, history, dict.fromkeys(services, "0"), _bases(manifest), services)
    world = World(
        manifest=manifest,
        history=history,
        claims=claims,
        here=tags_at(manifest.root, history.commit, claims),
        known=known,
        fingerprints=build_plan.fingerprints,
        staged=candidates.remembered(manifest.workspace.candidates),
        built=store.recorded(manifest),
    )
    return world, build_plan


def _bases(manifest: Manifest) -> dict[str, Resolved]:
    wanted = [key for service in manifest.services.values() for key in service.bases]
    resolved, reasons = bases.resolve(manifest, wanted)
    if reasons:
        lacking = "; ".join(f"{manifest.bases.images[key].reference}: {reason}" for key, reason in reasons.items())
        message = f"a release has every service, and these bases can't be had: {lacking}"
        raise BaseUnavailable(message, hint="./inv bases")
    return resolved


def examine(world: World, published: Published, due: Mapping[str, Due]) -> World:
    """The world with details of the lines that are `due`. Raises RegistryError, NoRecord."""
    details = {name: _details(world, published, name, line) for name, line in due.items()}
    return replace(world, details=details)


def _details(world: World, published: Published, name: str, due: Due) -> Details:
    manifest, registry, line = world.manifest, published.registry, world.history.lines[name]
    containing = tags_containing(manifest.root, world.history.commit, due.newer)
    if containing:  # it is not released, so nothing else is asked
        return Details(containing=tuple(containing))
    previous = None
    if line.last is not None and line.last in world.known[name].complete:
        previous = published.record(line.line, line.last)
    proven = at_once(lambda service: _first_proven(world, registry, line, service, previous), line.line.services)
    tags, version = world.moving(line, due.version, line.line.services), str(due.version)
    digests = at_once(lambda tag: registry.seen(*tag) or registry.digest(*tag, new=tag[1] == version) or "", tags)
    return Details(
        previous=previous,
        proven=frozenset(origin for origin in proven if origin),
        before=dict(zip(tags, digests, strict=True)),
    )


def _first_proven(
    world: World, registry: RegistryClient, line: LineHistory, service: str, previous: Record | None
) -> Origin | None:
    """The best origin that holds; those after it are not asked about."""
    for origin in world.origins(line, service, previous):
        if origin.revision and not _behind_head(world, origin.revision):
            continue
        if registry.manifest(service_repository(world.manifest, service), origin.digest):
            return origin
    return None


def _behind_head(world: World, revision: str) -> bool:
    return world.history.commit.startswith(revision) or git_history.reached(world.manifest.root, revision)
