"""From the flags of `./inv release` to a release: wishes checked, saved plans read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from build import probe, release, saved_plan
from build.distribution import Distribution
from build.errors import ReleaseRefused
from build.manifest import Manifest
from build.plan import Plan
from build.probe import Policy
from build.release_run import Options, Run
from build.typed import suggest
from build.wish import Wanted, Wish
from build.workflow import chosen


def preview(
    manifest: Manifest, *, bump: str, pre: str, version: str, services: Sequence[str], resume: bool = False
) -> Plan:
    """What a release would do now; with `resume`, only what it would finish."""
    made = release.preview(manifest, _wish(manifest, bump, pre, version, services), os.environ)
    if resume:
        return dataclasses.replace(made, lines=(), nothing="only what was interrupted is finished")
    return made


def make(
    manifest: Manifest,
    *,
    bump: str,
    pre: str,
    version: str,
    services: Sequence[str],
    skip: Sequence[str],
    local: bool,
    apply: str,
    resume: bool,
) -> Run:
    """Make a release, carry out a saved plan, or only finish what was interrupted; the last state of the run."""
    saved = None
    if apply:
        path = Path(apply)
        if not path.is_file():
            raise ReleaseRefused(f"{apply}: no such file", hint=f"./inv release --plan {apply}")
        saved = saved_plan.decode(path.read_text(encoding="utf-8", errors="replace"), apply)
    options = Options(
        wish=saved.wish if saved else _wish(manifest, bump, pre, version, services),
        skip=frozenset(skip),
        local=local,
        saved=saved,
        environment=os.environ,
    )
    return release.make(manifest, options, resume_only=resume)


def _wish(manifest: Manifest, bump: str, pre: str, version: str, services: Sequence[str]) -> Wish:
    kinds = ("auto", "patch", "minor", "major")
    if bump not in kinds:
        raise ReleaseRefused(f"--bump {bump}: no such bump{suggest(bump, kinds)}", hint=f"--bump {' | '.join(kinds)}")
    if version and (pre or bump != "auto"):
        message = "--version says it all: it goes with neither --bump nor --pre"
        raise ReleaseRefused(message, hint=f"--version {version}")
    names = tuple(chosen(manifest, services)) if services else ()
    if version and manifest.release.mode == "independent" and len(names) != 1:
        raise ReleaseRefused(
            "--version is for one line of versions: which service?", hint=f"--service NAME --version {version}"
        )
    if names and manifest.release.mode == "lockstep":
        message = "[release] mode is 'lockstep': all services have one version, and are released together"
        raise ReleaseRefused(message, hint='leave --service out, or set release.mode = "independent"')
    return Wish(bump=cast("Wanted", bump), pre=pre, version=version, services=names)


def learn(manifest: Manifest) -> Policy:
    """What the registry allows, learnt by a probe now."""
    with Distribution(manifest) as client:
        return probe.learn(manifest, client)
