"""Checked commit messages as people and pipelines read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from build import console
from build.git.conventional import Checked, NearMiss, warnings


def checked(result: Checked, *, json: bool) -> None:
    """What was looked at; the offences are the error that follows."""
    if json:
        console.result(asdict(result))
    elif not result.offences:
        console.note(f"{result.commits} commit messages in {result.revisions}: Conventional Commits", kind="ok")


def near_misses(misses: Sequence[NearMiss]) -> None:
    """Warn of headers that look conventional and are not."""
    for line in warnings(misses):
        console.warn(line)
