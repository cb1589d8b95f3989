"""A git repository that is rough in the ways of real ones, for the toolkit to be pointed at: nothing of it is ours.

It is small and the same each time. tests/support/rough has its parts.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.rough import agents, docs, planted
from tests.support.rough.modules import FAILS, HIDDEN, IMPORTS, Module, modules
from tests.support.rough.planted import Planted

SLOW_SECONDS = 40  # past the time limit of an import
_WHEN = "2026-01-02T03:04:05+00:00"
_IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Ada"), ("EMAIL", "ada@orchard.example"), ("DATE", _WHEN))
}


@dataclass(frozen=True, slots=True)
class RoughTree:
    """The tree in its folder, and what is known of it."""

    root: Path
    modules: tuple[Module, ...]

    def named(self, *states: str) -> set[str]:
        """The names of the modules in any of the states: IMPORTS, FAILS, HIDDEN."""
        return {module.name for module in self.modules if module.state in states}

    @property
    def listed(self) -> set[str]:
        """The modules that an engine lists."""
        return self.named(IMPORTS, FAILS)

    @property
    def hidden(self) -> set[str]:
        """The modules that no engine lists."""
        return self.named(HIDDEN)

    @property
    def sources(self) -> dict[str, str]:
        """The `[sources]` of a project that uses it."""
        return {
            "modules": str(self.root / "Modules"),
            "agents": str(self.root / "agents"),
            "docs": str(self.root / "mkdocs.yml"),
            "watched": str(self.root),
        }


def secrets() -> tuple[Planted, ...]:
    """Every secret of a tree: its value, which is in one file alone, and the path of that file."""
    return planted.PLANTED


def leaks(data: bytes) -> Iterator[Planted]:
    """Yield the secrets whose value is in some bytes: a layer, an answer, a log."""
    return (secret for secret in secrets() if secret.data in data or secret.value.encode() in data)


def write(folder: Path, *, slow_seconds: int = SLOW_SECONDS) -> RoughTree:
    """Write the tree into a new folder as a git repository with one commit; return what is known of it."""
    known = modules(slow_seconds)
    content = {f"Modules/{path}": data for module in known for path, data in module.files.items()}
    texts = agents.files() | docs.files() | planted.around() | _others()
    content |= {path: text.encode() for path, text in texts.items()}
    for path, data in (content | planted.files() | _binary()).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all", "--force")
    _git(folder, "commit", "--quiet", "--message", "stuff")
    return RoughTree(folder, known)


def _others() -> dict[str, str]:
    """What lies about: names with spaces and letters beyond ASCII, rules for git that came too late, another language."""
    return {
        ".gitignore": ".env\nnode_modules/\n*.log\n__pycache__/\n",
        "README.md": "# Orchard\n",
        "Assets/Scripts/Tree Grower.cs": "public class TreeGrower { }\n",
        "Notizen/Äpfel und Birnen.md": "# Äpfel\n",
        "Logs/import.log": "[12:00] nothing happened\n" * 200,
        "package.json": '{"name": "orchard", "private": true}\n',
    }


def _binary() -> dict[str, bytes]:
    """A megabyte that no compression makes smaller: what is sent with a folder above the one that was meant."""
    blocks = (hashlib.sha512(f"block {number}".encode()).digest() for number in range(1 << 14))
    return {"Library/cache.bin": b"".join(blocks)}


def _git(folder: Path, *arguments: str) -> None:
    # No settings of this machine: a commit must have the same hash everywhere.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=folder, env=inherited | _IDENTITY | settings, check=True)
