"""Checked commit messages as people and pipelines read them."""

from __future__ import annotations

from dataclasses import asdict

from build import console
from build.git.conventional import Checked


def checked(result: Checked, *, json: bool) -> None:
    """What was looked at; the offences are the error that follows."""
    if json:
        console.result(asdict(result))
    elif not result.offences:
        console.note(f"{result.commits} commit messages in {result.revisions}: Conventional Commits", kind="ok")
