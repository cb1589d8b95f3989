"""Finishing what an earlier run left: interrupted releases, floats that are behind, the same command given again."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from build.config.manifest import Manifest
from build.errors import BuildError, RegistryError, VersionTaken
from build.git.remote import newest_tags
from build.git.versions import Line, lines, parse_tag
from build.registry import policy
from build.registry.client import RegistryClient
from build.release import claim, floats, plan, published
from build.release.floats import Move
from build.release.names import release_repository, versions_of
from build.release.plan import Plan
from build.release.record import Record
from build.release.request import Request, repeats
from build.release.world import World

_CONCURRENT = 16  # the most releases that are assumed to have run at the same time
_RESUME = "./inv release --resume"


def unfinished(manifest: Manifest, registry: RegistryClient, tags: Collection[str]) -> list[Record]:
    """The releases that `tags` claim in this registry and that are not complete there, oldest first.

    A tag without a record was not made by a release, and one of another registry is not ours to finish. A version that
    was yanked before it was complete was given up. Raises RegistryError.
    """
    waiting: list[Record] = []
    for line in lines(manifest):
        known = published.known(registry, release_repository(manifest, line.name))
        missing = [
            tag for version, tag in versions_of(line, tags).items()
            if version not in known.complete and version not in known.yanked
        ]  # fmt: skip
        records = claim.records(manifest.root, missing).values()
        waiting += [record for record in records if record.registry == manifest.home and _is_of(record, line)]
    return sorted(waiting, key=lambda record: record.created)


def _is_of(record: Record, line: Line) -> bool:
    version = parse_tag(line.prefix, record.tag)
    return version is not None and str(version) == record.version


def settle_floats(
    manifest: Manifest, registry: RegistryClient, tags: Collection[str], *, audit: bool = False
) -> dict[str, list[Move]]:
    """Move the floats of every line that are behind; the moves, by line.

    A float is assumed current if the release repository's is, except those of the latest releases among `tags`: one of
    them may have been killed while it corrected a float that a faster release had moved. `audit` checks every float.
    Raises RegistryError.
    """
    repositories = {line.name: release_repository(manifest, line.name) for line in lines(manifest)}
    if not any(published.known(registry, repository).complete for repository in repositories.values()):
        return {}
    if policy.policy(manifest, registry).floats != "client":
        return {}
    latest = newest_tags(manifest.root, tags, _CONCURRENT)
    moved = {}
    for line in lines(manifest):
        suspects = {name for version in versions_of(line, latest) for name in floats.names(version)}
        try:
            moves = floats.move_floats(registry, repositories[line.name], audit=audit, suspects=suspects)
        except RegistryError as error:
            message = f"the floats of {line.name} are not right: {error}"
            raise error.with_message(message, hint=error.hint if "--resume" in error.hint else _RESUME) from error
        if moves:
            moved[line.name] = moves
    return moved


def releases_behind(
    manifest: Manifest, registry: RegistryClient, moved: Mapping[str, Sequence[Move]]
) -> list[Record]:  # fmt: skip
    """The releases whose floats had to be moved: each was complete, and killed before its end. Raises RegistryError."""
    wanted = {(line, str(move.version)) for line, moves in moved.items() for move in moves}
    records = [
        published.fetch(registry, release_repository(manifest, line), version) for line, version in sorted(wanted)
    ]
    return [record for record in records if record]


@contextlib.contextmanager
def explained(record: Record, progress: str) -> Iterator[None]:
    """Make a failure after the claim say how far the release is, and which command finishes it or gives it up.

    Raises the failure reworded; its kind stays.
    """
    try:
        yield
    except BuildError as error:
        service = f" --service {record.line}" if record.tag.startswith(f"{record.line}/") else ""
        give_up = f'./inv yank {record.version}{service} --reason "…"'
        if isinstance(error, VersionTaken):
            hint = f"give it up: {give_up}; then ./inv release takes the next version"
        elif "--resume" in error.hint:
            hint = error.hint
        else:
            hint = f"{_RESUME}   (or give it up: {give_up})"
        raise error.with_message(f"{record.tag} is {progress}: {error}", hint=hint) from error


def done(
    world: World, request: Request, finished: Sequence[Record], *, saved: Plan | None = None
) -> dict[str, Record]:  # fmt: skip
    """The lines that need no release any more, each with the release that the request, or the `saved` plan, asks for.

    `finished` are the interrupted releases that were just finished. A line that was claimed together with one of them
    may have been complete before.
    """
    here = [record for record in finished if record.commit == world.history.commit]
    planned = {line.tag for line in saved.lines} if saved else set()
    return {
        record.line: record
        for record in (*_claimed_with(world, here), *here)
        if (record.tag in planned if saved else _grants(world, request, record))
    }


def _claimed_with(world: World, finished: Sequence[Record]) -> list[Record]:
    """The complete releases that were claimed together with these: of one commit and one moment."""
    moments = {record.created for record in finished}
    others = [
        line.last_tag
        for name, line in world.history.lines.items()
        if line.last in world.known[name].complete and name not in {record.line for record in finished}
    ]
    records = claim.records(world.manifest.root, others) if finished else {}
    origin = (world.history.commit, world.manifest.home)
    return [
        record
        for record in records.values()
        if (record.commit, record.registry) == origin and record.created in moments
    ]


def _grants(world: World, request: Request, record: Record) -> bool:
    line = world.history.lines[record.line]
    return repeats(
        request, record, taken=plan.taken(world, line), manifest=world.manifest, branch=world.history.branch
    )  # fmt: skip
