"""Renewing a secret at a target, without downtime: the old value is accepted until that is ended."""

from __future__ import annotations

from pathlib import Path

from build import console
from build.config.manifest import Manifest
from build.deploy import drift, kinds, ledger, sets, steps
from build.deploy.run import Options, Run
from build.deploy.target import DeployedSet, Target
from build.errors import DeployRefused
from build.stack import secrets


def folder(manifest: Manifest, target: str) -> Path:
    """The folder of a target's secret files. Raises ManifestError for a target that is not configured."""
    return sets.secrets(manifest, kinds.named(manifest, target)[1].settings)


def _in_force(label: str, place: Target) -> DeployedSet:
    """The set in force. Raises DeployRefused, before a file is written, where a deploy would be refused."""
    current = ledger.require_current(ledger.entries(place.store), label)
    if lines := drift.differences(current, place.observe(current.specs)):
        hint = f"./inv deploy {current.release} --adopt --target {label}   replaces it"
        raise DeployRefused(drift.report(lines), hint=hint)
    return current


def rotate(manifest: Manifest, name: str, *, target: str, finish: bool = False) -> bool | None:
    """Renew a secret in the target's folder of secrets, or end its overlap, and have the target take it.

    Returns None for a renewal; of an end whether there was an old value. Where values don't change in place, the
    containers that use the secret are replaced, one after the other, as by a deploy. If that fails, they keep the value
    that they had, and the next deploy brings the new one; where values change in place, the new one stays. Raises
    SecretError without the secret's file here, and as `steps.make` does.
    """
    label, place = kinds.named(manifest, target)
    files = sets.secrets(manifest, place.settings)
    current = _in_force(label, place)
    finished = None
    if finish:
        finished = secrets.finish(manifest, name, folder=files)
    elif place.renewed(current, name) == current:
        secrets.rotate(manifest, name, folder=files)
    else:
        console.note(f"{name}: the file has a value that {label} has not taken yet; no newer one is made")
    run = Run(manifest=manifest, name=label, target=place, options=Options(action="rotate", secret=name))
    done = steps.make(run)
    touched = [change.container for change in done.changes if change.action != "keep"]
    console.note(f"{label}: {', '.join(touched) or 'no container'} replaced")
    return finished
