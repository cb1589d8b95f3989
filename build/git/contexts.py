"""The folders that a build sends, and where they lie in their repositories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from build import context_walk, dockerignore
from build.config.load import FILE as MANIFEST
from build.config.manifest import Manifest
from build.context_walk import Folder
from build.dockerignore import Rules
from build.left_out import Filter
from build.secret_files import VIRTUALENV

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
    filter: Filter
    folders: list[Folder] = field(default_factory=list)
    virtualenvs: list[str] = field(default_factory=list)
    single: bool = False

    @property
    def prefix(self) -> str:
        """What the paths of its entries begin with in the repository."""
        return f"{self.path}/" if self.path and not self.single else self.path

    def walk(self) -> None:
        """Fill `folders`. Raises OSError for a folder that can't be read."""
        self.folders = [] if self.single else list(context_walk.walk(self.root, self.rules, self.filter))
        left_out = (each for folder in self.folders for each in folder.left_out)
        self.virtualenvs = [each.path for each in left_out if each.rule == VIRTUALENV]

    def sends(self, path: str) -> bool:
        """Whether a path, relative to the context, is sent if it is there."""
        if self.single or path in self.kept:
            return True
        return not (self.rules.ignored(path) or self.filter.by_path(path, self.virtualenvs))

    def sends_content(self, path: str) -> bool:
        """Whether the content of a path that `sends` is nothing that the filter leaves out."""
        return self.single or path in self.kept or not self.filter.by_content(self.root, path)

    def only_left_out(self, folder: Folder) -> bool:
        """Whether something lies in a folder, and nothing of it is sent for the filter's sake."""
        kept = [leaf for leaf in folder.leaves if not self.filter.by_name(leaf)]
        return not kept and bool(folder.left_out or folder.leaves)


def top_of(folder: Path) -> Path | None:
    """The nearest folder, this one or above it, that has a `.git`."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")), None)


def _areas_of(context: Context, root: Path, filter_: Filter) -> Iterator[Area]:
    """The area of a context, and one for each link on the way to it, which has to be the commit's too."""
    base = root.resolve()
    lexical = Path(os.path.normpath(base / os.path.relpath(context.folder, root)))
    real = lexical.resolve()
    if real != lexical:
        for place in (*reversed(lexical.parents), lexical):
            top = top_of(place.parent)
            if place.is_symlink() and top and base.is_relative_to(top):
                yield from _single(context, place, top, filter_)
    top = top_of(real)
    path = real.relative_to(top).as_posix() if top else ""
    yield Area(
        context=context, root=real, path="" if path == "." else path,
        rules=dockerignore.rules_of(real, context.dockerfile), kept=dockerignore.always(real, context.dockerfile),
        filter=filter_,
    )  # fmt: skip


def _single(context: Context, place: Path, top: Path | None, filter_: Filter) -> Iterator[Area]:
    """The area of one file or link of a repository."""
    if top:
        path = place.relative_to(top).as_posix()
        yield Area(
            context=context, root=place.parent, path=path, rules=Rules(""), kept=set(), filter=filter_, single=True
        )


def areas_of(manifest: Manifest) -> list[Area]:
    """The areas of everything that decides an image: the contexts, the links on the way to them, and versions.toml.

    Raises ManifestError for an ignore file with a line that Docker refuses.
    """
    root, filter_ = manifest.root.resolve(), Filter(manifest.filter.allow)
    settings = _single(Context(folder=manifest.root / MANIFEST), root / MANIFEST, top_of(root), filter_)
    sent = (area for context in contexts(manifest) for area in _areas_of(context, manifest.root, filter_))
    return [*settings, *sent]
