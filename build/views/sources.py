"""What there is to know of the configured sources: a row for each thing, and a file with all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from build import console, json_file
from build.columns import Column
from build.config.manifest import Manifest
from build.sources.examination import Declared, Examined, Problem

_SHOWN = 20  # rows of a kind

Cells = tuple[str, str, str, str, str]


def report(manifest: Manifest, examined: Sequence[Examined], *, json: bool = False) -> None:
    """Print what there is to say of each source, the first rows of each kind; write all of it to the reports."""
    path = manifest.workspace.reports / "sources.json"
    json_file.write(path, {"sources": [dataclasses.asdict(each) for each in examined]})
    if json:
        console.result(examined)
        return
    rows = [row for each in examined for row in _rows(each)]
    found, remedy = Column("what there is", yields=1, prose=True), Column("what to do", yields=2, prose=True)
    console.table(("", "source", "", found, remedy), rows)
    if any(row[2] == "…" for row in rows):
        console.note(f"all of it: {path}")


def line(examined: Sequence[Examined]) -> str:
    """What there is to know of all sources in one line."""
    parts = []
    for each in examined:
        failed = len(each.failed)
        details = [f"{len(each.declared) - failed} of {len(each.declared)} ready"] if each.declared else []
        details += [_counted(len(each.problems), "problem")] if each.problems else []
        details += [f"{len(each.left_out)} left out"] if each.left_out else []
        if details:
            parts.append(f"{each.key}: {', '.join(details)}")
    return "; ".join(parts) or "nothing to say"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _rows(each: Examined) -> Iterator[Cells]:
    services = ", ".join(each.services) or "no service"
    sent = f"{each.files} files, {_size(each.bytes)}, to {services}" if each.files else f"used by {services}"
    yield console.mark("ok"), each.key, "", f"{each.path}: {sent}", ""
    for kind in dict.fromkeys(thing.kind for thing in each.declared):
        yield from _declared(kind, [thing for thing in each.declared if thing.kind == kind])
    for kind in dict.fromkeys(problem.kind for problem in each.problems):
        yield from _problems(kind, [problem for problem in each.problems if problem.kind == kind])
    if each.unexamined:
        yield console.mark("warn"), "", "not looked at", each.unexamined, ""
    lines = [f"{left.path}: {left.rule}" for left in each.left_out]
    for count, text in enumerate(lines[:_SHOWN]):
        wrong = "if that is wrong: [filter] allow in versions.local.toml" if count == 0 else ""
        yield console.mark("warn"), "", "left out", text, wrong
    yield from _more("left out", len(lines))


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"


def _declared(kind: str, things: Sequence[Declared]) -> Iterator[Cells]:
    failed = [thing for thing in things if thing.state == "failed"]
    yield console.mark("ok" if len(failed) < len(things) else "fail"), "", kind, _count(things, failed), ""
    for thing in failed[:_SHOWN]:
        yield console.mark("warn"), "", kind, f"{thing.name}: {thing.reason}", thing.fix
    yield from _more(kind, len(failed))


def _count(things: Sequence[Declared], failed: Sequence[Declared]) -> str:
    """How many are ready, with the names of a few."""
    ready = [thing.name for thing in things if thing not in failed]
    names = f": {', '.join(ready)}" if 0 < len(ready) <= 5 else ""
    return f"{len(ready)} of {len(things)} ready{names}"


def _problems(kind: str, problems: Sequence[Problem]) -> Iterator[Cells]:
    if len(problems) > 1:
        yield console.mark("fail" if any(each.stops for each in problems) else "warn"), "", kind, f"{len(problems)}", ""
    for problem in problems[:_SHOWN]:
        yield console.mark("fail" if problem.stops else "warn"), "", kind, problem.text, problem.fix
    yield from _more(kind, len(problems))


def _more(kind: str, count: int) -> Iterator[Cells]:
    if count > _SHOWN:
        yield console.mark("warn"), "", "…", f"{kind}: {count - _SHOWN} more", ""
