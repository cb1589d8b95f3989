"""From the flags of `./inv release` to a release: wishes checked, saved plans read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import ReleaseRefused
from build.release import plan_file, steps
from build.release.plan import Plan
from build.release.request import Wanted, Wish
from build.release.run import Options, Run
from build.typed import suggest


def preview(
    manifest: Manifest,
    *,
    bump: str,
    pre: str,
    version: str,
    services: Sequence[str],
    apply: str = "",
    resume: bool = False,
) -> Plan:
    """What a release would do now; with `resume`, only what it would finish.

    Raises ReleaseRefused beside a plan to apply, and as planning does.
    """
    if apply:
        message = "--apply carries a plan out: it goes with neither --dry-run nor --plan"
        raise ReleaseRefused(message, hint=f"./inv release --apply {apply}; what it would do is in the file")
    made = steps.preview(manifest, _wish(manifest, bump, pre, version, services), os.environ)
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
    """Make a release, carry out a saved plan, or only finish what was interrupted; the last state of the run.

    Raises ReleaseRefused for flags that do not go together, and for a file that is no plan.
    """
    saved = None
    if apply:
        wished = {"--bump": bump != "auto", "--pre": pre, "--version": version, "--service": services}
        saved = _saved(apply, [flag for flag, given in {**wished, "--resume": resume}.items() if given])
    options = Options(
        wish=saved.wish if saved else _wish(manifest, bump, pre, version, services),
        skip=frozenset(skip),
        local=local,
        saved=saved,
        environment=os.environ,
    )
    return steps.make(manifest, options, resume_only=resume)


def _saved(name: str, beside: Sequence[str]) -> Plan:
    if beside:
        message = f"a plan says what is released: --apply does not go with {', '.join(beside)}"
        raise ReleaseRefused(message, hint=f"./inv release --apply {name}, or make another plan with --plan")
    path = Path(name)
    if not path.is_file():
        raise ReleaseRefused(f"{name}: no such file", hint=f"./inv release --plan {name}")
    return plan_file.decode(path.read_text(encoding="utf-8", errors="replace"), name)


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
