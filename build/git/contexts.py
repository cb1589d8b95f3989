"""The folders that a build sends, and where they lie in their repositories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from build import dockerignore
from build.config.load import FILE as MANIFEST
from build.config.manifest import Manifest
from build.dockerignore import Folder, Rules

DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """A folder that a build sends; a named context (`source` is its key in [sources]) has no Dockerfile."""

    folder: Path
    dockerfile: str = ""
    source: str = ""


def contexts(manifest: Manifest) -> list[Context]:
    """The folders that the images of the manifest are built from, without duplicates."""
    found = []
    for service in manifest.services.values():
        found.append(Context(folder=manifest.root / service.folder, dockerfile=DOCKERFILE))
        for value in service.contexts.values():
            kind, _, key = value.partition(":")
            if kind == "stage":
                found.append(Context(folder=manifest.root / manifest.stages[key].folder, dockerfile=DOCKERFILE))
            elif source := manifest.source(key):
                found.append(Context(folder=source, source=key))
    return list(dict.fromkeys(found))


@dataclass(kw_only=True, slots=True)
class Area:
    """A context in its repository, or a single file or link; `path` is relative to its top, "" for the top itself."""

    context: Context
    root: Path
    path: str
    rules: Rules
    kept: set[str]
    folders: list[Folder] = field(default_factory=list)
    single: bool = False

    @property
    def prefix(self) -> str:
        """What the paths of its entries begin with in the repository."""
        return f"{self.path}/" if self.path and not self.single else self.path

    def walk(self) -> None:
        """Fill `folders`. Raises OSError for a folder that can't be read."""
        self.folders = [] if self.single else list(dockerignore.walk(self.root, self.rules))

    def sends(self, path: str) -> bool:
        """Whether a path, relative to the context, is sent if it is there."""
        return self.single or path in self.kept or not self.rules.ignored(path)


def top_of(folder: Path) -> Path | None:
    """The nearest folder, this one or above it, that has a `.git`."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")), None)


def _areas_of(context: Context, root: Path) -> Iterator[Area]:
    """The area of a context, and one for each link on the way to it, which has to be the commit's too."""
    base = root.resolve()
    lexical = Path(os.path.normpath(base / os.path.relpath(context.folder, root)))
    real = lexical.resolve()
    if real != lexical:
        for place in (*reversed(lexical.parents), lexical):
            top = top_of(place.parent)
            if place.is_symlink() and top and base.is_relative_to(top):
                yield from _single(context, place, top)
    top = top_of(real)
    path = real.relative_to(top).as_posix() if top else ""
    yield Area(
        context=context, root=real, path="" if path == "." else path,
        rules=dockerignore.rules_of(real, context.dockerfile), kept=dockerignore.always(real, context.dockerfile),
    )  # fmt: skip


def _single(context: Context, place: Path, top: Path | None) -> Iterator[Area]:
    """The area of one file or link of a repository."""
    if top:
        path = place.relative_to(top).as_posix()
        yield Area(context=context, root=place.parent, path=path, rules=Rules(""), kept=set(), single=True)


def areas_of(manifest: Manifest) -> list[Area]:
    """The areas of everything that decides an image: the contexts, the links on the way to them, and versions.toml.

    Raises ManifestError for an ignore file with a line that Docker refuses.
    """
    root = manifest.root.resolve()
    settings = _single(Context(folder=manifest.root / MANIFEST), root / MANIFEST, top_of(root))
    return [*settings, *(area for context in contexts(manifest) for area in _areas_of(context, manifest.root))]
