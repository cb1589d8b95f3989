"""What happens after a failure: the old set is put back, and what can't be is reported."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NoReturn

from build import console, steps
from build.deploy import converge, formats, kept, ledger, locking
from build.deploy.ledger import Entry
from build.deploy.run import Run
from build.errors import BuildError, RolledBack, Unfinished
from build.steps import Step


def after(run: Run, cause: BuildError | KeyboardInterrupt) -> NoReturn:
    """End a run that was stopped: if its entry is open, its target goes back to the set of before.

    Raises RolledBack when that set runs again, Unfinished when there is none or it does not run whole; the cause
    itself if nothing was touched, for an interrupt once the old set runs again, and where another process has taken
    the lock: the target is that one's.
    """
    entry = run.held.entry
    if entry is None or isinstance(cause, locking.LockLost) or _is_closed(run, entry):
        raise cause
    words = str(cause) or "interrupted"
    if entry.before is None:
        entry = ledger.close(run.target.store, entry, "failed", words)
        message = f"{words}\nthere is no earlier set to go back to, and what is there stays as evidence"
        hint = f"./inv status --target {run.name}   then fix it, and deploy again"
        raise _left(Unfinished(message, hint=hint, output=getattr(cause, "output", "")), run, entry) from None
    console.note(f"stopped: {ledger.headline(words)}", kind="fail")
    before = entry.before.release
    try:
        steps.execute([Step("put-back", f"put {before} back", partial(_put_back, entry=entry, reason=words))], run)
    except locking.LockLost:
        raise
    except (BuildError, KeyboardInterrupt) as second:
        raise _left(_failed(cause, second, before, run.name), run, entry) from None
    result = "\n".join(
        [f"{before} runs again: {len(entry.before.specs)} containers, every one by its digest", *run.held.lost]
    )
    if isinstance(cause, KeyboardInterrupt):
        console.note(result)
        raise cause
    hint = cause.hint or f"./inv status --target {run.name}"
    closed = replace(entry, state="rolled-back", reason=words)
    raise _left(RolledBack(f"{words}\n{result}", hint=hint, output=cause.output), run, closed) from None


def _left(error: RolledBack | Unfinished, run: Run, entry: Entry) -> RolledBack | Unfinished:
    """The error, with how the target's journal is left."""
    error.target, error.entry = run.name, entry
    return error


def _is_closed(run: Run, entry: Entry) -> bool:
    """Whether the journal has the end of an entry: what stopped the run came after it."""
    try:
        return any(each.number == entry.number and each.state != "open" for each in ledger.entries(run.target.store))
    except BuildError:
        return False


def _put_back(run: Run, *, entry: Entry, reason: str) -> Run:
    undo(run, entry, reason)
    run.held.entry = None
    return run


def undo(run: Run, entry: Entry, reason: str) -> None:
    """Go back to the set before an open entry, its data first, and close the entry.

    Raises as `kept.put_back` and `converge.restore` do.
    """
    assert entry.before is not None
    between = partial(locking.require, run.target.store)
    between()
    put_data_back(run, entry)
    converge.restore(run.target, entry.before, entry.after.specs, between)
    run.target.announce(entry.before)
    ledger.close(run.target.store, entry, "rolled-back", reason)


def put_data_back(run: Run, entry: Entry) -> None:
    """Bring the data back that an open entry kept, and say what is lost by that. Raises as `kept.put_back` does."""
    if entry.data and entry.before:
        run.target.settle({*entry.before.specs, *entry.after.specs})
        lost = kept.put_back(run.target, entry, formats.volumes(run.manifest))
        for line in lost:
            console.warn(line)
        run.held.lost += lost


def _failed(cause: BaseException, second: BaseException, before: str, target: str) -> Unfinished:
    """The loudest failure: what was to come did not, and what ran before did not come back."""
    line = "!" * 72
    message = (
        f"{line}\nTHE ROLL BACK OF {target.upper()} FAILED: neither set runs whole\n{line}\n"
        f"first: {str(cause) or 'interrupted'}\nthen, on the way back to {before}: {str(second) or 'interrupted'}"
    )
    output = "\n".join(filter(None, (getattr(error, "output", "") for error in (cause, second))))
    hint = f"./inv status --target {target}   then ./inv rollback, or ./inv deploy --resume"
    return Unfinished(message, hint=hint, output=output)
