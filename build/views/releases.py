"""Releases: plans, what was released, the list of releases, what was withdrawn, what a registry allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from build import console, github
from build.columns import Column
from build.errors import ReleaseRefused
from build.images.image import short
from build.registry.policy import Policy
from build.release import plan_file
from build.release.catalog import Release
from build.release.plan import Plan
from build.release.record import Record
from build.release.run import Run
from build.release.yank import Yanked
from build.views import commits

_MARKS = {
    "complete": "ok", "interrupted": "warn", "gone": "warn", "altered": "fail", "yanked": "fail", "foreign": "skip"
}  # fmt: skip


def plan(planned: Plan, *, file: str = "", json: bool = False) -> None:
    """Print a plan: each service with its reason, each tag with its old and new digest; write it to `file` if given.

    Raises ReleaseRefused if the file can't be written.
    """
    if file:
        _save(planned, Path(file))
    if json:
        console.result(plan_file.as_table(planned))
        return
    commits.near_misses(planned.near_misses)
    if planned.unfinished:
        console.sentence(f"first finishes the interrupted releases: {', '.join(planned.unfinished)}")
    if planned.nothing:
        console.sentence(f"nothing to release: {planned.nothing}")
    for line in planned.lines:
        title = f"{line.line} {line.previous or '(first release)'} → {line.version}, by {line.bump}"
        rows = [(image.service, image.action, image.why, short(image.digest)) for image in line.services]
        console.table(
            ("service", "", Column("why", yields=1, prose=True), Column("digest", yields=2)), rows, title=title
        )
        moves = [
            (tag.repository, tag.tag, short(tag.before) or "(new)", short(tag.after) or "the built image")
            for tag in line.tags
        ]
        console.table(("repository", "tag", Column("from", yields=1), Column("to", yields=1)), moves)
    if file:
        console.note(f"plan written to {file}; carry it out with ./inv release --apply {file}")


def _save(planned: Plan, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plan_file.encode(planned), encoding="utf-8")
    except OSError as error:
        raise ReleaseRefused(f"the plan can't be saved: {path}: {error.strerror}", hint="--plan plan.json") from None


def released(run: Run, *, json: bool) -> None:
    """Print what a run released, and what it finished; both are in the summary of the job, too."""
    _summarise(run)
    if json:
        console.result({"released": run.records, "finished": run.finished})
        return
    for record in (*run.finished, *run.records):
        rows = [
            (
                console.mark("ok"),
                name,
                f"{record.registry}/{name}:{record.version}",
                short(image.digest),
                image.origin,
            )
            for name, image in record.services.items()
        ]
        console.table(
            ("", "service", Column("image", yields=2), Column("digest", yields=1), "origin"), rows, title=_title(record)
        )


def _summarise(run: Run) -> None:
    for verb, records in (("Finished", run.finished), ("Released", run.records)):
        for record in records:
            rows = [
                (name, f"{record.registry}/{name}:{record.version}", image.digest, image.origin)
                for name, image in record.services.items()
            ]
            table = github.table(("service", "image", "digest", "origin"), rows)
            console.summary(f"### {verb}: {_title(record)}\n\n{table}")


def _title(record: Record) -> str:
    notes = [f"{name} SKIPPED" for name in record.skipped]
    notes += [f"on stand-in bases: {', '.join(record.stand_ins)}"] if record.stand_ins else []
    scan = record.gates.get("scan")
    notes += (
        ["vulnerabilities NOT checked"]
        if scan and scan.verdict == "passed" and not scan.vulnerabilities_checked and scan.unchecked_by != "flag"
        else []
    )
    notes += [f"waived: {', '.join(scan.waivers)}"] if scan and scan.waivers else []
    notes += [f"let through by VEX: {', '.join(scan.vex)}"] if scan and scan.vex else []
    return f"{record.line} {record.version}, tag {record.tag}" + "".join(f"; {note}" for note in notes)


def releases(every: Sequence[Release], *, json: bool = False) -> None:
    """Print the releases."""
    if json:
        console.result(every)
        return
    if not every:
        console.note("no releases yet; ./inv release --dry-run prints what the first one would be")
        return
    rows = [
        (
            console.mark(_MARKS[release.state]),
            release.line,
            release.version,
            release.created[:16].replace("T", " "),
            release.commit[:7],
            release.state,
            release.authority,
            _remarks(release),
        )
        for release in every
    ]
    console.table(
        (
            "",
            "line",
            "version",
            "made (UTC)",
            "commit",
            "state",
            Column("by", yields=1),
            Column("remarks", yields=2, prose=True),
        ),
        rows,
    )


def _remarks(release: Release) -> str:
    remarks = [f"made in {release.made_in}"] if release.made_in else []
    remarks += [f"{name} SKIPPED" for name in release.skipped]
    remarks += [f"waived {', '.join(release.waivers)}"] if release.waivers else []
    remarks += [f"stand-ins {', '.join(release.stand_ins)}"] if release.stand_ins else []
    remarks += [f"yanked: {release.reason}"] if release.reason else []
    remarks += [f"no image of {', '.join(release.missing)}"] if release.missing else []
    return "; ".join(remarks)


def yanked(done: Sequence[Yanked], *, json: bool = False, dry_run: bool = False) -> None:
    """Print what a yank did to each line, or would do."""
    if json:
        console.result(done)
        return
    if not done:
        console.text("no release is gone: nothing to withdraw")
    for line in done:
        many = len(line.versions) > 1
        verb = "would be" if dry_run else "are" if many else "is"
        console.sentence(f"{line.line} {', '.join(line.versions)} {verb} withdrawn; immutable tags stay")
        for move in line.moved:
            console.text(f"  {move.name} {'would move to' if dry_run else '→'} {move.version}")
        for name in line.left:
            withdrawn = "a withdrawn release" if many else line.versions[0]
            names = "would still name" if dry_run else "still names"
            console.warn(f"{name} {names} {withdrawn}: there is no other release for it")


def policy(learnt: Policy, *, json: bool = False) -> None:
    """Print what a probe learnt about the registry."""
    if json:
        console.result(learnt)
        return
    floats = {
        "client": "we move them",
        "server": "the registry moves them",
        "nobody": "refused, or can't be moved",
    }
    rows = [
        ("a tag can be moved", "no: immutable" if learnt.immutable else "yes"),
        ("a PUT of an unchanged tag", "accepted" if learnt.equal_put else "refused, so it is not sent"),
        ("X.Y and X", floats[learnt.floats]),
        ("referrers API", "yes" if learnt.referrers else "no"),
        ("sha256-… fallback tags", "accepted" if learnt.fallback_tags else "refused"),
        ("deleting manifests", "yes" if learnt.deletes else "no"),
    ]
    console.table(("question", learnt.address), rows)
