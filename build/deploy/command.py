"""From flags to a deploy, a roll back, or a plan of one that is shown, saved or carried out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from build import console, json_file
from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy import kinds, ledger, preflight, released, sets, steps
from build.deploy.run import Options, Run
from build.errors import DeployRefused, UsageError


def begin(manifest: Manifest, target: str, options: Options) -> Run:
    """A run that has done nothing yet. Raises ManifestError for a target that is not configured."""
    name, place = kinds.named(manifest, target)
    return Run(manifest=manifest, name=name, target=place, options=options)


def deploy(
    manifest: Manifest, version: str, *, target: str = "", services: Sequence[str] = (), apply: str = "",
    resume: bool = False, adopt: bool = False, break_lock: bool = False, accept: Sequence[str] = (),
) -> Run:  # fmt: skip
    """Deploy a release, carry out a saved plan, or with `resume` finish what is open; raises as `steps.make` does.

    `accept` names the volumes whose data may be lost.
    """
    options = _options(
        version, services, apply=apply, resume=resume, adopt=adopt, break_lock=break_lock, accept=accept
    )  # fmt: skip
    return steps.make(begin(manifest, target, options))


def preview(
    manifest: Manifest,
    version: str,
    *,
    target: str = "",
    services: Sequence[str] = (),
    file: str = "",
    adopt: bool = False,
    accept: Sequence[str] = (),
) -> dict[str, Any]:
    """What a deploy would change now, as data; with `file` it is saved there.

    Raises what would refuse the deploy, except a lock that another process holds: nothing is changed.
    """
    run = begin(manifest, target, _options(version, services, adopt=adopt, accept=accept))
    plan = _planned(preflight.resolve(run))
    if file:
        json_file.write(Path(file), json.loads(json.dumps(plan | {"services": list(services)}, default=console.plain)))
    return plan


def rollback(
    manifest: Manifest, *, target: str = "", back_to: str = "", adopt: bool = False, break_lock: bool = False,
    accept: Sequence[str] = (),
) -> Run:  # fmt: skip
    """Go back to an earlier set: the last good one, or that of a release or a deploy's number.

    What is open is undone first; `accept` names the volumes whose data may be lost. Raises as `steps.make` does.
    """
    options = Options(
        action="rollback", back_to=back_to, adopt=adopt, break_lock=break_lock, accept=tuple(accept)
    )  # fmt: skip
    return steps.make(begin(manifest, target, options))


def preview_rollback(
    manifest: Manifest, *, target: str = "", back_to: str = "", adopt: bool = False, accept: Sequence[str] = ()
) -> dict[str, Any]:
    """What a roll back would change now, as data. Raises what would refuse it."""
    options = Options(action="rollback", back_to=back_to, adopt=adopt, accept=tuple(accept))
    return _planned(begin(manifest, target, options))


def _planned(run: Run) -> dict[str, Any]:
    run = replace(run, history=tuple(ledger.entries(run.target.store)))
    if entry := ledger.unfinished(run.history):
        console.warn(f"{entry.action} {entry.number} to {entry.after.release} is open, and is finished or undone first")
        run = replace(run, history=run.history[:-1], options=replace(run.options, adopt=True))
        if run.options.action == "rollback" and not run.options.back_to and entry.before:
            return run.aimed_at(entry.before).plan  # undoing it is all that a roll back does then
    return preflight.check(preflight.aim(run)).plan


def files(manifest: Manifest, version: str, *, target: str = "") -> dict[str, str]:
    """What a deploy of this release would apply, or without a version what is deployed, as files by name.

    Raises DeployRefused if nothing is deployed, ReleaseRefused for a release that can't be.
    """
    run = begin(manifest, target, Options(version=version))
    current = ledger.current(ledger.entries(run.target.store)) if not version else None
    if version:
        found = released.read(manifest, version, chosen(manifest, ()))
        wanted = sets.of_release(manifest, run.target, found, current, ())
    elif current:
        wanted = current
    else:
        raise DeployRefused(
            f"nothing is deployed to {run.name}", hint="./inv manifests VERSION   for that of a release"
        )
    return run.target.files(wanted)


def write_files(content: Mapping[str, str], folder: Path) -> list[str]:
    """Write files by name into a folder, which is created; return their paths. Raises OSError."""
    for name, text in content.items():
        json_file.replace(folder / name, text)
    return [str(folder / name) for name in content]


def _options(
    version: str, services: Sequence[str], *, apply: str = "", resume: bool = False, adopt: bool = False,
    break_lock: bool = False, accept: Sequence[str] = (),
) -> Options:  # fmt: skip
    """What the flags ask for. Raises UsageError for flags that exclude each other, DeployRefused for a bad plan."""
    if bool(version) + bool(apply) + resume != 1:
        raise UsageError("expected one of: a version, --apply FILE, --resume", hint="./inv deploy 1.4.0")
    if resume and accept:
        raise UsageError("--accept-data-loss belongs to the start of a deploy, not to --resume")
    options = Options(
        version=version, services=tuple(services), resume=resume, adopt=adopt, break_lock=break_lock,
        accept=tuple(accept),
    )  # fmt: skip
    if not apply:
        return options
    try:
        plan = json.loads(Path(apply).read_text(encoding="utf-8"))
        return replace(
            options, version=str(plan["version"]), services=tuple(map(str, plan["services"])), basis=str(plan["basis"])
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DeployRefused(
            f"{apply} is not a plan of a deploy: {error}", hint="./inv deploy VERSION --plan FILE"
        ) from None
