"""The reference of versions.toml in the documentation, as far as programs read it: each key's description."""

from __future__ import annotations

import re
from pathlib import Path

from build.config import deploy, manifest, signing
from build.errors import ManifestError

PAGE = "docs/pages/versions-toml.md"
# The heading under which the page describes the keys of a type.
HEADINGS: dict[type, str] = {
    manifest.Manifest: "Sections",
    manifest.Project: "[project]",
    manifest.Tools: "[tools]",
    manifest.RegistrySettings: "[registry]",
    manifest.Bases: "[bases]",
    manifest.BaseImage: "[bases.images.KEY]",
    manifest.Gates: "[gates]",
    manifest.ReleaseSettings: "[release]",
    signing.SigningSettings: "[signing]",
    manifest.FilterSettings: "[filter]",
    manifest.Stage: "[stages.KEY]",
    manifest.Service: "[services.NAME]",
    manifest.SmokeSettings: "[smoke]",
    manifest.Container: "[services.NAME.containers.CONTAINER]",
    manifest.SmokeCheck: "[[services.NAME.smoke]]",
    deploy.DeploySettings: "[deploy]",
    deploy.TargetSettings: "[deploy.targets.NAME]",
}


def sections(text: str) -> dict[str, str]:
    """Heading → the text below it, for a page in Markdown."""
    parts = re.split(r"^#{2,3} (.*)$", text, flags=re.MULTILINE)
    return {title.strip("`"): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text by their first cell, without backticks."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:2] == "| "]
    return {row[0].strip("`"): row for row in cells}


def descriptions(root: Path) -> dict[type, dict[str, str]]:
    """Each type's keys with their descriptions as plain text, from the page in the project at `root`.

    Raises ManifestError if there is no page, or a key has no description in it.
    """
    try:
        page = sections((root / PAGE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{PAGE}: no such file", hint="run this in a checkout with the documentation") from None
    result = {}
    for kind, heading in HEADINGS.items():
        table = rows(page.get(heading, ""))
        texts = {key: _plain(table[key][-1]) for key in manifest.keys(kind) if key in table}
        if missing := [key for key in manifest.keys(kind) if not texts.get(key)]:
            raise ManifestError(f"{PAGE}: {heading}: {missing[0]} has no description", hint=f"add a row to {PAGE}")
        result[kind] = texts
    return result


def _plain(markdown: str) -> str:
    """A cell of a table without its links and marks: what an editor shows beside a key."""
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", markdown)
    return re.sub(r"[*`]", "", text) if text.count("`") % 2 == 0 else text
