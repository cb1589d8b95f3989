"""Bringing a target to a set, one container after the other, and proving that it runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from build import console
from build.deploy.changes import Change, changes
from build.deploy.target import DeployedSet, Target
from build.errors import SmokeFailed


def bring(target: Target, wanted: DeployedSet, due: Sequence[Change], between: Callable[[], None]) -> None:
    """Carry out the changes in order, each until it is healthy; call `between` before each.

    Raises SmokeFailed, with the container's last lines, at the first that does not become healthy.
    """
    target.prepare(wanted)
    for change in due:
        if change.action == "keep":
            continue
        between()
        started = time.monotonic()
        if change.action == "remove":
            target.remove(change.container)
        else:
            spec = wanted.specs[change.container]
            target.apply(change.container, spec)
            target.wait(change.container, spec)
        did = {"create": "created", "remove": "removed"}.get(change.action, change.why)
        console.timed(f"{change.container}: {did}", time.monotonic() - started)


def restore(target: Target, before: DeployedSet, others: Collection[str], between: Callable[[], None]) -> None:
    """Bring the target back to a set it ran before: what differs is put back in reverse order; then it is verified.

    `others` are the containers of the set that was to come. Raises what fails on the way; then neither set is whole.
    """
    target.settle({*before.specs, *others})
    due = [change for change in changes(before.specs, target.observe(before.specs)) if change.action != "keep"]
    bring(target, before, due[::-1], between)
    verify(target, before)


def verify(target: Target, wanted: DeployedSet) -> None:
    """Raise SmokeFailed unless the target runs exactly this set: every container healthy, by its own digest.

    One that does not run as it should is waited for: its node may have died since, or its predecessor is still ending.
    """
    observed = target.observe(wanted.specs)
    if late := [name for name, now in observed.items() if name in wanted.specs and not now.runs]:
        for name in late:
            target.wait(name, wanted.specs[name])
        observed = target.observe(wanted.specs)
    due = {change.container: change.why for change in changes(wanted.specs, observed) if change.action != "keep"}
    problems = [f"{name}: {why}" for name, why in due.items()]
    problems += [
        f"{name}: runs {observed[name].image}, expected {spec.image}"
        for name, spec in wanted.specs.items()
        if name not in due and observed[name].image != spec.image
    ]
    if problems:
        message = f"the target does not run {wanted.release} as a whole: {'; '.join(problems)}"
        raise SmokeFailed(message, hint="./inv status")
