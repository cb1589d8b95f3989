"""The same command again: whether a release of this commit, begun by a run that was killed, is what is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from build.release import claim, plan
from build.release.plan import Plan, World
from build.release.record import Record
from build.release.request import Wish, repeats


def done(world: World, wish: Wish, finished: Sequence[Record], *, saved: Plan | None = None) -> dict[str, Record]:
    """The lines on which nothing is left to do, each with its release: what the wish, or the `saved` plan, asks for.

    `finished` are the releases that were interrupted and were finished just now; what was claimed together with one of
    them may have been complete before.
    """
    here = [one for one in finished if one.commit == world.history.commit]
    planned = {line.tag for line in saved.lines} if saved else set()
    return {
        one.line: one
        for one in (*_beside(world, here), *here)
        if (one.tag in planned if saved else _grants(world, wish, one))
    }


def _beside(world: World, finished: Sequence[Record]) -> list[Record]:
    """The complete releases that were claimed together with these: of one commit and one moment."""
    moments = {one.created for one in finished}
    others = [
        line.last_tag
        for name, line in world.history.lines.items()
        if line.last in world.known[name].complete and name not in {one.line for one in finished}
    ]
    records = claim.records(world.manifest.root, others) if finished else {}
    commit, home = world.history.commit, world.manifest.home
    return [one for one in records.values() if (one.commit, one.registry) == (commit, home) and one.created in moments]


def _grants(world: World, wish: Wish, record: Record) -> bool:
    line = world.history.lines[record.line]
    return repeats(
        wish, record, taken=plan.taken(world, line), manifest=world.manifest, branch=world.history.branch
    )  # fmt: skip
