"""Releases as people and pipelines read them: plans, what was made, what there is, what was withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from build import console
from build.deploy.workflow import as_json
from build.errors import ReleaseRefused
from build.registry.policy import Policy
from build.release import plan_file
from build.release.catalog import Release
from build.release.plan import Plan
from build.release.record import Record
from build.release.run import Run
from build.release.yank import Yanked

_SHORT = 19
_LOOK = {"complete": "ok", "interrupted": "warn", "yanked": "fail", "foreign": "skip"}


def plan(made: Plan, *, file: str = "", json: bool) -> None:
    """A plan: each service and why, each tag and where it moves; into `file` when one is named.

    Raises ReleaseRefused when the file can't be written.
    """
    if file:
        _save(made, Path(file))
    if json:
        console.result(plan_file.as_table(made))
        return
    if made.unfinished:
        console.text(f"first finishes what was interrupted: {', '.join(made.unfinished)}")
    if made.nothing:
        console.text(f"nothing to release: {made.nothing}")
    for line in made.lines:
        title = f"{line.line} {line.previous or '(first release)'} → {line.version}, by {line.bump}"
        rows = [(one.service, one.action, one.why, one.digest[:_SHORT]) for one in line.services]
        console.table(("service", "", "why", "digest"), rows, title=title)
        moves = [
            (one.repository, one.tag, one.before[:_SHORT] or "(new)", one.after[:_SHORT] or "what is built")
            for one in line.tags
        ]
        console.table(("repository", "tag", "from", "to"), moves)
    if file:
        console.note(f"plan written to {file}; carry it out with ./inv release --apply {file}")


def _save(made: Plan, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plan_file.encode(made), encoding="utf-8")
    except OSError as error:
        raise ReleaseRefused(f"the plan can't be saved: {path}: {error.strerror}", hint="--plan plan.json") from None


def released(run: Run, *, json: bool) -> None:
    """What a run released and finished."""
    made = (*run.finished, *run.records)
    if json:
        console.result(
            {"released": [as_json(one) for one in run.records], "finished": [as_json(one) for one in run.finished]}
        )
        return
    for record in made:
        rows = [
            (console.mark("ok"), name, f"{record.registry}/{name}:{record.version}", one.digest[:_SHORT], one.origin)
            for name, one in record.services.items()
        ]
        console.table(("", "service", "image", "digest", "origin"), rows, title=_title(record))


def _title(record: Record) -> str:
    notes = [f"{name} SKIPPED" for name in record.skipped]
    notes += [f"on stand-in bases: {', '.join(record.stand_ins)}"] if record.stand_ins else []
    scan = record.gates.get("scan")
    notes += (
        ["vulnerabilities NOT checked"]
        if scan and scan.verdict == "passed" and not scan.vulnerabilities_checked
        else []
    )
    notes += [f"waived: {', '.join(scan.waivers)}"] if scan and scan.waivers else []
    return f"{record.line} {record.version}, tag {record.tag}" + "".join(f"; {one}" for one in notes)


def releases(found: Sequence[Release], *, json: bool) -> None:
    """The releases there are."""
    if json:
        console.result(as_json(list(found)))
        return
    rows = [
        (
            console.mark(_LOOK[one.state]),
            one.line,
            one.version,
            one.created[:16].replace("T", " "),
            one.commit[:7],
            one.state,
            one.authority,
            _remarks(one),
        )
        for one in found
    ]
    console.table(("", "line", "version", "made (UTC)", "commit", "state", "by", "remarks"), rows)


def _remarks(one: Release) -> str:
    said = [f"{name} SKIPPED" for name in one.skipped]
    said += [f"waived {', '.join(one.waivers)}"] if one.waivers else []
    said += [f"stand-ins {', '.join(one.stand_ins)}"] if one.stand_ins else []
    said += [f"yanked: {one.reason}"] if one.reason else []
    return "; ".join(said)


def yanked(done: Yanked, *, json: bool) -> None:
    """What a yank did."""
    if json:
        console.result(as_json(done))
        return
    console.text(f"{done.line} {done.version} is withdrawn; its immutable tags stay")
    for move in done.moved:
        console.text(f"  {move.name} → {move.version}")
    for name in done.left:
        console.warn(f"{name} still names {done.version}: no other release is left for it")


def policy(found: Policy, *, json: bool) -> None:
    """What a probe learnt of the registry."""
    if json:
        console.result(as_json(found))
        return
    floats = {
        "client": "we move them",
        "server": "the registry moves them itself",
        "nobody": "refused, or can't be moved",
    }
    rows = [
        ("a tag can be pointed elsewhere", "no: immutable" if found.immutable else "yes"),
        ("an equal PUT of a tag", "taken" if found.equal_put else "refused, so it is not sent"),
        ("X.Y and X", floats[found.floats]),
        ("referrers API", "yes" if found.referrers else "no"),
        ("sha256-… fallback tags", "taken" if found.fallback_tags else "refused"),
        ("deleting manifests", "yes" if found.deletes else "no"),
    ]
    console.table(("question", found.address), rows)
