"""What is computed and examined before a target is touched: the set that is to come, and what forbids it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from build import console, process
from build.config.select import chosen
from build.deploy import drift, formats, kept, ledger, released, restoring, sets
from build.deploy.run import Run
from build.deploy.target import KeepsData, Problem
from build.errors import BuildError, DeployRefused, ReleaseRefused, ToolFailed

_HOOK_SECONDS = 300.0


def resolve(run: Run) -> Run:
    """The run with its release, as the registry and the git tag have it.

    Raises DeployRefused where `released.read` refuses it, and otherwise as that does; ManifestError for an unknown
    service.
    """
    services = chosen(run.manifest, run.options.services)
    try:
        return replace(run, released=released.read(run.manifest, run.options.version, services, verify=True))
    except ReleaseRefused as error:
        raise DeployRefused(str(error), hint=error.hint) from None


def aim(run: Run) -> Run:
    """The run with the set that is to come, and what it changes.

    Raises DeployRefused for a roll back without anything to go back to, or to a withdrawn release; and as
    `sets.of_release` and `restoring.changes` do.
    """
    if run.options.action == "deploy":
        assert run.released is not None
        return run.aimed_at(sets.of_release(run.manifest, run.target, run.released, run.current, run.options.services))
    if run.options.action == "rotate":
        current = ledger.require_current(run.history, run.name)
        return run.aimed_at(run.target.renewed(current, run.options.secret), origin=ledger.origin(run.history))
    if run.options.action == "restore":
        current = ledger.require_current(run.history, run.name)
        aimed = run.aimed_at(current, origin=ledger.origin(run.history))
        return replace(aimed, data=restoring.changes(run, current))
    entry = ledger.earlier(run.history, run.options.back_to)
    _require_not_withdrawn(run, entry.after.versions)
    wanted = run.target.with_values_in_force(entry.after, run.current)
    return run.aimed_at(wanted, origin=entry.origin)


def _require_not_withdrawn(run: Run, versions: dict[str, str]) -> None:
    """A registry that does not answer keeps nobody from going back."""
    try:
        released.require_available(run.manifest, versions)
    except ReleaseRefused as error:
        raise DeployRefused(str(error), hint="./inv deploys   and ./inv rollback --to another one") from None
    except BuildError as error:
        console.warn(f"not checked whether {', '.join(sorted(set(versions.values())))} was withdrawn: {error}")


def check(run: Run) -> Run:
    """The run with what becomes of the data.

    Raises DeployRefused, naming every reason, if the set that is to come may not come here and now.
    """
    assert run.wanted is not None
    run.require_basis()
    _require_no_drift(run)
    users = formats.volumes(run.manifest)
    differing = formats.differing(formats.written(run.history, users), formats.stated(run.wanted, users))
    problems = [*sets.problems_of(run.wanted), *run.target.problems(run.wanted), *_data_problems(run, differing)]
    if problems:
        hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
        raise DeployRefused("\n".join(problem.message for problem in problems), hint="\n       ".join(hints))

    data = run.data or kept.changes(run.target, run.history, differing, run.wanted, run.current)
    for volume, change in data.items():
        becomes = change.loads or "stays"
        console.note(f"{volume}: format {change.written} → {change.wanted}, a copy is kept; its data: {becomes}")
    return replace(run, data=data)


def _data_problems(run: Run, differing: Sequence[formats.Differing]) -> Iterator[Problem]:
    """What can't go on with the data that is there, or could not come back to it, and was not accepted."""
    assert run.wanted is not None
    is_guarded = isinstance(run.target, KeepsData)
    at_stake = [one for one in differing if not one.readable or not is_guarded]
    formats.require_at_stake(run.options.accept, [one.volume for one in at_stake])
    for one in at_stake:
        if one.volume not in run.options.accept:
            unguarded = formats.unguarded(one, run.wanted.release, run.target.place)
            yield formats.unreadable(one, run.wanted.release) if not one.readable else unguarded


def _require_no_drift(run: Run) -> None:
    current = run.current
    if current is None and run.history:
        return  # a first deploy that failed left what is there
    lines = drift.differences(current, run.target.observe(current.specs if current else {}))
    if not lines:
        return
    if run.options.adopt:
        for line in lines:
            console.warn(f"to be replaced: {line}")
        return
    raise DeployRefused(
        drift.report(lines), hint="./inv status   then the same command with --adopt, which replaces it"
    )


def hook(run: Run, key: str, document: Any) -> None:
    """Run the target's command `before` or `after`, with JSON on its stdin; nothing without one.

    Raises DeployRefused if it fails.
    """
    command = getattr(run.target.settings, key)
    if not command:
        return
    text = json.dumps(document, indent=2, default=console.plain) + "\n"
    try:
        process.run(list(command), cwd=run.manifest.root, stdin=text, timeout=_HOOK_SECONDS)
    except BuildError as error:
        place = f"[deploy.targets.{run.name}] {key}"
        output = error.output if isinstance(error, ToolFailed) else ""
        raise DeployRefused(f"{place}: {error}", hint=f"fix the command, or remove {key}", output=output) from None
