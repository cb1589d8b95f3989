"""What a build sends of a folder: all that neither its .dockerignore nor the filter excludes."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from build.dockerignore import Matched, Rules, always, rules_of
from build.left_out import Filter, LeftOut

FILTER = Filter()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """What the path of a context means: the folder that is walked, its rules, and what is sent whatever they say."""

    root: Path
    rules: Rules
    kept: frozenset[str]


def tree_of(path: Path, dockerfile: str = "") -> Tree:
    """The tree of a context: a folder by its ignore file, or an mkdocs.yml with all that its site is built from.

    What lies beside an mkdocs.yml in its folder is not sent, and an ignore file there is about another build. Raises
    ManifestError for an ignore file with a line that Docker refuses, and for an mkdocs.yml that can't be read.
    """
    if path.is_file():
        from build import mkdocs_needs  # reads YAML, which nothing else does

        lines = ["*", *(f"!{_literal(needed)}" for needed in mkdocs_needs.needs(path).paths)]
        return Tree(root=path.parent, rules=Rules("\n".join(lines), source=str(path)), kept=frozenset())
    return Tree(root=path, rules=rules_of(path, dockerfile), kept=frozenset(always(path, dockerfile)))


def root_of(path: Path) -> Path:
    """The folder that the paths of a context are relative to: itself, or that of an mkdocs.yml."""
    return path.parent if path.is_file() else path


def _literal(path: str) -> str:
    """A pattern that matches this path alone."""
    return re.sub(r"([*?\[\]^\\])", r"\\\1", path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder of a context: its path and what lies in it, relative to the context ("" is the context itself).

    `excluded` and `matched` are what the rules say of it. `others` are the leaves that are neither file nor link,
    `left_out` are folders in it that the filter excludes.
    """

    path: str
    excluded: bool
    matched: Matched
    folders: tuple[str, ...]
    leaves: list[str]
    others: frozenset[str]
    left_out: tuple[LeftOut, ...] = ()


def walk(root: Path, rules: Rules, filter_: Filter = FILTER) -> Iterator[Folder]:
    """Yield every folder of a context, each before those in it, except those from which nothing can be sent.

    A folder that goes away meanwhile counts as if it had never been there.
    """
    top = os.fspath(root)
    pending: list[tuple[str, bool, Matched]] = [("", False, rules.none)]
    while pending:
        path, excluded, matched = pending.pop()
        base = f"{path}/" if path else ""
        folders, leaves, others = [], [], []
        try:
            with os.scandir(f"{top}/{path}") as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        leaves.append(base + entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(base + entry.name)
                    else:
                        leaves.append(base + entry.name)
                        if not entry.is_symlink():
                            others.append(base + entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        open_folders, left_out = [], []
        for folder in folders:
            out, below = rules.match(folder, matched) if rules.rules else (False, matched)
            if out and rules.closed(folder):
                continue
            if rule := filter_.folder(top, folder):
                left_out.append(LeftOut(folder, rule))
                continue
            open_folders.append(folder)
            pending.append((folder, out, below))
        yield Folder(
            path=path, excluded=excluded, matched=matched, folders=tuple(open_folders), leaves=leaves,
            others=frozenset(others), left_out=tuple(left_out),
        )  # fmt: skip


def sent(
    root: Path,
    rules: Rules,
    *,
    kept: Collection[str] = (),
    filter_: Filter = FILTER,
    left_out: list[LeftOut] | None = None,
) -> Iterator[str]:
    """Yield the path of every file, link and the like that a context sends, and of each empty folder, with a slash.

    `kept` are sent whatever the rules say. What the filter excludes by its name is added to `left_out`.
    """
    filled: set[str] = set()
    empty: list[str] = []
    for folder in walk(root, rules, filter_):
        listed = [
            leaf
            for leaf in folder.leaves
            if leaf in kept or not rules.rules or not rules.match(leaf, folder.matched)[0]
        ]
        dropped = [LeftOut(leaf, rule) for leaf in listed if leaf not in kept and (rule := filter_.by_name(leaf))]
        if left_out is not None:
            left_out += [*folder.left_out, *dropped]
        if dropped:
            names = {each.path for each in dropped}
            listed = [leaf for leaf in listed if leaf not in names]
        yield from listed
        if listed or dropped or folder.left_out:
            filled.update(_above(folder.path))
        elif not folder.excluded:
            empty.append(folder.path)
    filled.update(above for path in empty for above in _above(posixpath.dirname(path)))
    yield from (f"{path}/" for path in empty if path and path not in filled)


def sent_from(
    path: Path, dockerfile: str = "", filter_: Filter = FILTER, left_out: list[LeftOut] | None = None
) -> Iterator[str]:
    """Yield what the context at a path sends, as `sent` does, relative to its tree. Raises as `tree_of` does."""
    tree = tree_of(path, dockerfile)
    return sent(tree.root, tree.rules, kept=tree.kept, filter_=filter_, left_out=left_out)


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = posixpath.dirname(path)
