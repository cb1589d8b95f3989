"""A deploy brings a target from one whole set to another. Read STEPS first, at the foot: they run in that order.

Before `_journal` nothing of the target is changed. From there to `_done` the target has an open entry, which says what
is to run and what ran before, so that any machine can finish or undo it. Whatever goes wrong in between ends in the old
set (recovery.py).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from build import console, steps
from build.deploy import converge, formats, kept, ledger, locking, preflight, recovery, restoring, smoke
from build.deploy.run import Run
from build.deploy.target import DeployedSet
from build.errors import BuildError, DeployRefused
from build.registry.credentials import login
from build.steps import Skip, Step, Stop


def _resolve(run: Run) -> Run:
    if run.options.action != "deploy" or run.options.resume:
        raise Skip("the journal of the target says what is to run")
    run = preflight.resolve(run)
    assert run.released is not None
    for line, digest in run.released.records.items():
        console.note(f"{line}: record sha256:{digest[:12]}")
    for name, image in run.released.images.items():
        console.note(f"{name} {image.version}: {image.reference}")
    return run


def _lock(run: Run) -> Run:
    lock = locking.held(run.target.store, f"{run.options.action} of {run.name}", break_lock=run.options.break_lock)
    run.held.resources.enter_context(lock)
    return replace(run, history=tuple(ledger.tidied(run.target.store)))


def _recover(run: Run) -> Run:
    """Finish or undo what an earlier process left open."""
    entry = ledger.unfinished(run.history)
    if entry is None:
        if run.options.resume:
            raise Stop("nothing is open")
        raise Skip("nothing is open")
    console.note(f"{entry.action} {entry.number} to {entry.after.release}, by {entry.who} on {entry.host}, is open")
    run.target.settle({*entry.after.specs, *(entry.before.specs if entry.before else ())})
    if run.options.resume or _brings(run, entry.after.versions):
        console.note(f"finishing it: {entry.after.release}")
        run.held.entry = entry
        return run.aimed_at(entry.after, origin=entry.origin)
    if entry.before is None:
        console.note("giving it up: it was the first deploy, and there is nothing to go back to")
        ledger.close(run.target.store, entry, "failed", "given up by a later command")
    elif run.options.adopt and run.options.action == "deploy":
        console.note("giving it up as it is: what it left is replaced")
        try:
            recovery.put_data_back(run, entry)
        except DeployRefused as error:
            console.warn(str(error))
        ledger.close(run.target.store, entry, "rolled-back", "given up by a later deploy with --adopt, not undone")
    else:
        console.note(f"undoing it: back to {entry.before.release}")
        _pull_again(run, entry.before)
        recovery.undo(run, entry, "undone by a later command")
        run.held.undone = entry
        if run.options.action == "rollback" and not run.options.back_to:
            raise Stop(f"{entry.before.release} runs again: every container by its digest")
    return replace(run, history=tuple(ledger.entries(run.target.store)))


def _pull_again(run: Run, before: DeployedSet) -> None:
    """Have the images of an earlier set; they may have been removed since. One that is there needs no registry."""
    try:
        login(run.manifest)
        run.target.pull(before.specs.values())
    except BuildError as error:
        console.warn(f"{error}; going back with the images that are there")


def _brings(run: Run, versions: dict[str, str]) -> bool:
    """Whether the release that is to be deployed is part of a set with these versions of services."""
    images = run.released.images if run.released else {}
    return bool(images) and {name: image.version for name, image in images.items()}.items() <= versions.items()


def _preflight(run: Run) -> Run:
    if run.held.entry is not None:
        raise Skip("it was examined when it was begun")
    run = preflight.check(preflight.aim(run))
    preflight.hook(run, "before", run.plan)
    return run


def _pull(run: Run) -> Run:
    assert run.wanted is not None
    due = [change for change in run.changes if change.action != "keep"]
    if not due and run.held.entry is None and run.wanted == run.current and not run.data:
        raise Stop(f"{run.wanted.release} runs already: every container by its digest")
    login(run.manifest)
    run.target.pull([run.wanted.specs[change.container] for change in due if change.action != "remove"])
    return run


def _stage(run: Run) -> Run:
    if run.held.entry is not None or not any(change.loads for change in run.data.values()):
        raise Skip("no data is replaced" if run.held.entry is None else "it was done before the journal was opened")
    assert run.wanted is not None
    if run.options.restore:
        fill = restoring.fill(run.options.restore)
    else:
        fill = kept.stage_older(run.history, formats.stated(run.wanted, formats.volumes(run.manifest)))
    there = kept.place(run.target, run.wanted, run.current)
    kept.stage(there, ledger.next_number(run.history), run.data, fill)
    return run


def _journal(run: Run) -> Run:
    assert run.wanted is not None
    if run.held.entry is not None:
        raise Skip("it is open already")
    locking.require(run.target.store)
    run.held.entry = ledger.begin(
        run.target.store, run.history, run.options.action, run.current, run.wanted, back_to=run.origin, data=run.data
    )
    before = run.current.release if run.current else "nothing"
    console.note(f"{run.options.action} {run.held.entry.number}: {before} → {run.wanted.release}")
    return run


def _data(run: Run) -> Run:
    entry = run.held.entry
    assert entry is not None
    if not entry.data:
        raise Skip("no data changes its format, or is replaced")
    stopped = kept.carry_out(run.target, entry)
    due = (
        replace(change, action="update", why="was stopped for its data")
        if change.action == "keep" and change.container in stopped
        else change
        for change in run.changes
    )
    return replace(run, changes=tuple(due))


def _apply(run: Run) -> Run:
    assert run.wanted is not None
    untouched = [change.container for change in run.changes if change.action == "keep"]
    converge.bring(run.target, run.wanted, run.changes, partial(locking.require, run.target.store))
    if untouched:
        console.note(f"not touched: {', '.join(untouched)}")
    converge.verify(run.target, run.wanted)
    return run


def _smoke(run: Run) -> Run:
    assert run.wanted is not None
    if not run.target.settings.smoke:
        raise Skip(f"[deploy.targets.{run.name}] smoke = false")
    passed = smoke.run(run.manifest, run.target, run.wanted)
    if not passed:
        raise Skip("nothing could be asked from here")
    console.note(f"{passed} checks passed")
    return run


def _done(run: Run) -> Run:
    assert run.wanted is not None
    assert run.held.entry is not None
    run.target.announce(run.wanted)
    locking.require(run.target.store)
    entry = ledger.close(run.target.store, run.held.entry, "done")
    run.held.entry = None
    known = ledger.entries(run.target.store)
    history = ledger.sweep(run.target.store, known, run.target.settings.history)
    if entry.data or any(dropped.data for dropped in known[: -len(history)]):
        try:
            kept.sweep(run.target, history, run.wanted)
        except BuildError as error:
            console.warn(f"{error}; copies that nothing needs are left, and the deploy itself is done")
    run.target.sweep([one for entry in history for one in (entry.before, entry.after) if one])
    console.note(f"{run.wanted.release} runs: {len(run.wanted.specs)} containers, every one by its digest")
    run = replace(run, history=tuple(history), number=entry.number)
    try:
        preflight.hook(run, "after", run.plan | {"state": entry.state, "number": entry.number})
    except BuildError as error:
        console.warn(f"{error}; the deploy itself is done")
    return run


STEPS: tuple[Step[Run], ...] = (
    Step("resolve", "read and verify the release", _resolve),
    Step("lock", "lock the target", _lock),
    Step("recover", "finish or undo what is open", _recover),
    Step("preflight", "preflight", _preflight),
    Step("pull", "pull the images", _pull),
    Step("stage", "have the data there that is to be loaded", _stage),
    Step("journal", "open the journal", _journal),
    Step("data", "keep the data that changes", _data),
    Step("apply", "bring up what changed, one at a time", _apply),
    Step("smoke", "smoke-test the target", _smoke),
    Step("done", "close the journal", _done),
)


def make(run: Run) -> Run:
    """Carry out a deploy or a roll back; the final state of the run.

    Raises DeployRefused while nothing is touched, RolledBack after the old set was put back, Unfinished when neither
    set runs whole, and MissingTool where the target can't be reached.
    """
    with run.held.resources:
        try:
            done = steps.execute(STEPS, run)
            # What has closed the journal has read it since; what has stopped before may have undone an entry.
            return done if done.number else replace(done, history=tuple(ledger.entries(run.target.store)))
        except (BuildError, KeyboardInterrupt) as cause:
            recovery.after(run, cause)
