"""From the flags of `./inv release` to a release or its preview."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from build.config.manifest import Manifest
from build.errors import ReleaseRefused
from build.gates.order import named
from build.release import plan_file, request, steps
from build.release.plan import Plan
from build.release.run import Options, Run


def preview(
    manifest: Manifest,
    *,
    bump: str,
    pre: str,
    version: str,
    services: Sequence[str],
    environment: Mapping[str, str],
    apply: str = "",
    resume: bool = False,
) -> Plan:
    """What a release would do now; with `resume`, only what it would finish.

    Raises ReleaseRefused together with a plan to apply, and as planning does.
    """
    if apply:
        message = "--apply carries a plan out: it excludes --dry-run and --plan"
        raise ReleaseRefused(message, hint=f"./inv release --apply {apply}; what it would do is in the file")
    asked = request.from_flags(manifest, bump=bump, pre=pre, version=version, services=services)
    plan = steps.preview(manifest, asked, environment)
    if resume:
        return dataclasses.replace(plan, lines=(), nothing="only what was interrupted is finished")
    return plan


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
    environment: Mapping[str, str],
) -> Run:
    """Make a release, carry out a saved plan, or only finish what was interrupted; the final state of the run.

    Raises ReleaseRefused for flags that exclude each other and for a file that is not a plan, and as the steps do.
    """
    saved = None
    if apply:
        flags = {
            "--bump": bump != "auto",
            "--pre": pre,
            "--version": version,
            "--service": services,
            "--resume": resume,
        }
        saved = _saved(apply, excluded=[flag for flag, given in flags.items() if given])
        asked = saved.request
    else:
        asked = request.from_flags(manifest, bump=bump, pre=pre, version=version, services=services)
    options = Options(request=asked, skip=named(skip), local=local, saved=saved, environment=environment)
    return steps.make(manifest, options, resume_only=resume)


def _saved(name: str, *, excluded: Sequence[str]) -> Plan:
    if excluded:
        message = f"a plan says what is released: --apply excludes {', '.join(excluded)}"
        raise ReleaseRefused(message, hint=f"./inv release --apply {name}, or make another plan with --plan")
    path = Path(name)
    if not path.is_file():
        raise ReleaseRefused(f"{name}: no such file", hint=f"./inv release --plan {name}")
    return plan_file.decode(path.read_text(encoding="utf-8", errors="replace"), name)
