"""Deploys: a plan, what was done, what runs, the history, what would be applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from build import console, github
from build.columns import Column
from build.deploy.changes import Change
from build.deploy.ledger import Entry, headline
from build.deploy.run import Run
from build.deploy.status import ContainerStatus, Status
from build.errors import RolledBack, Unfinished
from build.images.image import short

_MARKS = {"create": "ok", "update": "ok", "keep": "skip", "remove": "warn"}
_STATES = {"done": "ok", "rolled-back": "warn", "failed": "fail", "open": "warn"}


def plan(planned: Mapping[str, Any], *, file: str = "", json: bool = False) -> None:
    """Print what would change at a target; each container with its reason and its images."""
    title = f"Plan for {planned['target']}: {planned['before'] or 'nothing'} → {planned['release']}"
    _summarise(title, planned["changes"])
    if json:
        console.result(planned)
        return
    console.sentence(
        f"{planned['target']}: {planned['before'] or 'nothing'} → {planned['release']}  ({planned['place']})"
    )
    _changes(planned["changes"])
    for volume, change in planned["data"].items():
        console.warn(f"{volume}: data of format {change.written} → {change.wanted}; {change.loads or 'it stays'}")
    if file:
        console.note(f"plan written to {file}; carry it out with ./inv deploy --apply {file}")


def made(make: Callable[[], Run], *, json: bool = False) -> None:
    """Have a deploy or a roll back made, and print what it did; that is in the summary of the job, too.

    Of one that fails after its journal was opened, the result is the entry as it is left. Raises what `make` does.
    """
    started = time.monotonic()
    try:
        run = make()
    except (RolledBack, Unfinished) as error:
        if json and error.entry is not None:
            console.result(_result(error.target, error.entry, started))
        raise
    entry = run.history[-1] if run.history else None
    _summarise(_title(run, entry), run.changes)
    if not json:
        _changes(run.changes)
        return
    console.result(_result(run.name, entry, started) | {
        "number": run.number, "action": run.options.action, "release": run.wanted.release if run.wanted else None,
        "changes": run.changes,
    })  # fmt: skip


def _result(target: str, entry: Entry | None, started: float) -> dict[str, Any]:
    return {
        "target": target, "number": entry.number if entry else 0, "action": entry.action if entry else "",
        "state": entry.state if entry else "none", "release": entry.after.release if entry else None,
        "before": entry.before.release if entry and entry.before else None, "changes": [],
        "seconds": round(time.monotonic() - started, 3),
    }  # fmt: skip


def _title(run: Run, entry: Entry | None) -> str:
    if entry is None:
        return f"{run.name}: nothing was deployed"
    if run.number:
        before = entry.before.release if entry.before else "nothing"
        return f"{entry.action} {entry.number} of {run.name}: {before} → {entry.after.release}"
    if (undone := run.held.undone) and undone.before:
        return f"{undone.action} {undone.number} of {run.name} was undone: {undone.before.release} runs again"
    return f"{run.name}: nothing to do, {run.current.release if run.current else 'nothing'} runs"


def _summarise(title: str, changes: Sequence[Change]) -> None:
    rows = [(change.container, change.action, change.why, change.after or change.before) for change in changes]
    table = github.table(("container", "", "why", "image"), rows) if rows else ""
    console.summary(f"### {title}\n\n{table}")


def _changes(changes: Sequence[Change]) -> None:
    if not changes:
        return
    rows = [
        (
            console.mark(_MARKS[change.action]),
            change.container,
            change.action,
            change.why,
            _digest(change.before),
            _digest(change.after),
        )
        for change in changes
    ]
    why = Column("why", yields=1, prose=True)
    console.table(("", "container", "", why, Column("from", yields=2), Column("to", yields=3)), rows)


def _digest(reference: str) -> str:
    return short(reference.partition("@")[2])


def status(current: Status, *, json: bool = False) -> None:
    """Print what runs on a target, and every difference from what was deployed."""
    if json:
        console.result(current)
        return
    console.sentence(f"{current.target}: {current.summary}  ({current.place})")
    if current.lock:
        console.sentence(f"locked: {current.lock}")
    rows = [_row(container) for container in current.containers]
    nodes, url = Column("nodes", yields=3), Column("url", yields=1)
    if rows:
        console.table(("", "container", "version", "state", "since", Column("digest", yields=2), nodes, url), rows)
    for line in current.drift:
        console.sentence(f"{console.mark('fail')} {line}")
    if current.state == "open":
        console.note("./inv deploy --resume finishes it, ./inv rollback undoes it")
    elif current.drift:
        console.note("./inv deploy VERSION --adopt replaces what was changed by hand")


def _row(container: ContainerStatus) -> tuple[str, ...]:
    healthy = container.state == "running" and container.health in {"healthy", ""}
    mark = "fail" if not healthy or container.replicas != container.wanted else "warn" if container.drift else "ok"
    count = f" {container.replicas}/{container.wanted}" if container.wanted != 1 else ""
    return (
        console.mark(mark), container.container, container.version,
        (container.health or container.state if container.state == "running" else container.state) + count,
        container.since.replace("T", " ")[:16], _digest(container.image), ", ".join(container.nodes), container.url,
    )  # fmt: skip


def history(entries: Sequence[Entry], *, json: bool = False) -> None:
    """Print the deploys and roll backs of a target, the newest first."""
    if json:
        console.result([
            {
                "number": entry.number, "action": entry.action, "state": entry.state, "release": entry.after.release,
                "before": entry.before.release if entry.before else None, "who": entry.who, "host": entry.host,
                "began": entry.began, "ended": entry.ended, "reason": entry.reason,
            }
            for entry in entries
        ])  # fmt: skip
        return
    rows = [
        (
            console.mark(_STATES[entry.state]), str(entry.number), entry.began.replace("T", " ")[:16], entry.action,
            entry.before.release if entry.before else "", entry.after.release, entry.state,
            f"{entry.who}@{entry.host}", headline(entry.reason),
        )
        for entry in entries
    ]  # fmt: skip
    who, why = Column("who", yields=2), Column("why", yields=1, prose=True)
    console.table(("", "number", "began", "", "from", "to", "state", who, why), rows)


def files(content: Mapping[str, str], written: Sequence[str], *, json: bool = False) -> None:
    """Print what would be applied, or which files it was written to."""
    if json:
        console.result({"files": content, "written": list(written)})
    elif written:
        console.note(f"wrote {', '.join(written)}")
    else:
        for name, text in content.items():
            console.text(f"# {name}\n{text}" if len(content) > 1 else text)
