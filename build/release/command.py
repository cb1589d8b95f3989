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
    flags = {"--bump": bump != "auto", "--pre": pre, "--version": version, "--service": services}
    _require_nothing_new(resume=resume, flags=flags)
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
    flags = {"--bump": bump != "auto", "--pre": pre, "--version": version, "--service": services}
    if apply:
        given = [flag for flag, value in {**flags, "--resume": resume}.items() if value]
        saved = _saved(apply, excluded=given)
        wish = saved.request
        asked = request.from_flags(
            manifest, bump=wish.bump, pre=wish.pre, version=wish.version, services=wish.services
        )  # fmt: skip
    else:
        _require_nothing_new(resume=resume, flags={**flags, "--skip": skip})
        asked = request.from_flags(manifest, bump=bump, pre=pre, version=version, services=services)
    options = Options(request=asked, skip=named(skip), local=local, saved=saved, environment=environment)
    return steps.make(manifest, options, resume_only=resume)


def _require_nothing_new(*, resume: bool, flags: Mapping[str, object]) -> None:
    if resume and (given := [flag for flag, value in flags.items() if value]):
        message = f"--resume only finishes what was interrupted, as its record says: it excludes {', '.join(given)}"
        raise ReleaseRefused(message, hint="./inv release --resume, then ./inv release with the other flags")


def _saved(name: str, *, excluded: Sequence[str]) -> Plan:
    if excluded:
        message = f"a plan says what is released: --apply excludes {', '.join(excluded)}"
        raise ReleaseRefused(message, hint=f"./inv release --apply {name}, or make another plan with --plan")
    path = Path(name)
    if not path.is_file():
        raise ReleaseRefused(f"{name}: no such file", hint=f"./inv release --plan {name}")
    return plan_file.decode(path.read_text(encoding="utf-8", errors="replace"), name)
