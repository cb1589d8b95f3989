"""Recognises what the docs source holds: an mkdocs project, or a site that some other tool has built."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from docsite.errors import SourceError

CONFIG_NAMES = ("mkdocs.yml", "mkdocs.yaml")
KEPT_DOT_NAMES = frozenset({".well-known"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """`config` is the mkdocs.yml, or None for a prebuilt site."""

    config: Path | None


def find(where: Path) -> Found:
    """mkdocs.yml wins over index.html: a project may keep a built site beside its source."""
    for name in CONFIG_NAMES:
        if (where / name).is_file():
            return Found(config=where / name)
    if (where / "index.html").is_file():
        return Found(config=None)
    names = sorted(path.name for path in where.iterdir())[:8] if where.is_dir() else []
    seen = f"found only: {', '.join(names)}" if names else "the folder is empty"
    raise SourceError(
        "the docs source holds neither mkdocs.yml nor index.html at its top level "
        f"({seen}); point [sources].docs at the folder that does"
    )


def copy_prebuilt(where: Path, out: Path) -> None:
    """Copy without dot files (.git, .env …); symbolic links stay links, so that packing can name them."""

    def hidden(_folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name.startswith(".") and name not in KEPT_DOT_NAMES}

    shutil.copytree(where, out, symlinks=True, ignore=hidden, dirs_exist_ok=True)
