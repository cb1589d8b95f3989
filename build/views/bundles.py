"""Bundles: written, checked and loaded."""

from __future__ import annotations

from build import console
from build.bundle.check import Bundle
from build.bundle.load import Loaded
from build.bundle.write import WrittenBundle
from build.views import proofs


def written(result: WrittenBundle, *, dry_run: bool = False) -> None:
    """Print where a bundle is, or would be, and how large."""
    signed = "signed" if result.signed else "not signed"
    text = f"{result.file}: {', '.join(result.releases)}, {result.size / 1e6:.1f} MB, {signed}"
    console.outcome(f"write {text}" if dry_run else text, result, planned=dry_run)


def checked(bundle: Bundle, file: str, *, json: bool) -> None:
    """Print what a bundle has, and the checks of its releases."""
    names = [f"{release.line} {release.version}" for release in bundle.contents.releases]
    if json:
        console.result({"file": file, "releases": names, "verified": bundle.verifications})
        return
    if bundle.verifications:
        proofs.verified(bundle.verifications, json=False)
    console.sentence(f"{file}: {', '.join(names)}; {len(bundle.parts)} files, every hash is right")


def loaded(result: Loaded) -> None:
    """Print what was put into which registry."""
    sent = f"{result.sent / 1e6:.1f} MB sent"
    console.outcome(f"{result.registry} has {', '.join(result.releases)}: {sent}, the record last", result)
    if result.database:
        console.note(f'for the scans here: [gates] db_repository = "{result.database}"')
