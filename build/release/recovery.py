"""Finishing what an earlier run left: interrupted releases, and floats that are behind."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from build import console
from build.config.manifest import Manifest
from build.errors import BuildError, RegistryError, VersionTaken
from build.git.remote import newest_tags
from build.registry import policy
from build.release import floats
from build.release.floats import Move
from build.release.names import versions_of
from build.release.published import CONCURRENT, Known, Published
from build.release.record import Record
from build.release.stored import ImageGone

_RESUME = "./inv release --resume"


def unfinished(published: Published, known: Mapping[str, Known]) -> list[Record]:
    """The releases that are claimed in this registry, not complete there and can be finished, oldest first.

    A tag without a record was not made by a release, and one of another registry is not ours to finish. A version that
    was yanked before it was complete was given up; one whose images are gone can't be finished, which is a warning.
    Raises RegistryError.
    """
    waiting: list[Record] = []
    for line in published.lines:
        of_line, claimed = known[line.name], published.claimed(line)
        waiting += [claimed[version] for version in of_line.interrupted]
        _tell_gone([claimed[version].tag for version in sorted(of_line.gone, reverse=True)])
    return sorted(waiting, key=lambda record: record.created)


def _tell_gone(tags: Sequence[str]) -> None:
    if tags:
        more = f" and {len(tags) - 1} older" if len(tags) > 1 else ""
        console.note(f"gone from the registry, and left so: {tags[0]}{more} (./inv releases)")


def settle_floats(
    manifest: Manifest, published: Published, known: Mapping[str, Known], tags: Collection[str], *, audit: bool = False
) -> dict[str, list[Move]]:
    """Move the floats of every line that are behind; the moves, by line. Where nothing is `known`, there are none.

    A float is assumed current if the release repository's is, except those of the latest releases among `tags`: one of
    them may have been killed while it corrected a float that a faster release had moved. `audit` checks every float.
    Raises RegistryError.
    """
    if not any(one.complete for one in known.values()):
        return {}
    if policy.policy(manifest, published.registry).floats != "client":
        return {}
    latest = newest_tags(manifest.root, tags, CONCURRENT)
    moved = {}
    for line in published.lines:
        suspects = {name for version in versions_of(line, latest) for name in floats.names(version)}
        try:
            moves = floats.move_floats(published, line, known=known[line.name], audit=audit, suspects=suspects)
        except RegistryError as error:
            message = f"the floats of {line.name} are not right: {error}"
            raise error.with_message(message, hint=error.hint if "--resume" in error.hint else _RESUME) from error
        if moves:
            moved[line.name] = moves
    return moved


def releases_behind(published: Published, moved: Mapping[str, Sequence[Move]]) -> list[Record]:
    """The releases whose floats had to be moved: each was complete, and killed before its end. Raises RegistryError."""
    records = [
        published.record(line, version)
        for line in published.lines
        for version in sorted({move.version for move in moved.get(line.name, ())})
    ]
    return [record for record in records if record]


@contextlib.contextmanager
def explained(record: Record, progress: str) -> Iterator[None]:
    """Make a failure after the claim say how far the release is, and which command finishes it.

    Giving it up is only advised where it can't be finished: another failure may pass, and a yank can't be undone.
    Raises the failure reworded; its kind stays.
    """
    try:
        yield
    except BuildError as error:
        service = f" --service {record.line}" if record.tag.startswith(f"{record.line}/") else ""
        give_up = f'./inv yank {record.version}{service} --reason "…"'
        if isinstance(error, VersionTaken):
            hint = f"give it up: {give_up}; then ./inv release takes the next version"
        elif isinstance(error, ImageGone):
            hint = f"restore it, then {_RESUME}; or give it up: {give_up}"
        else:
            hint = error.hint if "--resume" in error.hint else _RESUME
        raise error.with_message(f"{record.tag} is {progress}: {error}", hint=hint) from error
