"""The state of the checkout: HEAD, uncommitted changes, and what a build would send that the commit does not have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from build.config.manifest import Manifest
from build.git.client import git
from build.git.comparison import Difference
from build.git.contexts import contexts, top_of
from build.git.inputs import Inputs, compare
from build.parallel import together

_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no")
_SHOWN = 8  # paths


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """HEAD's commit and branch (None: detached), uncommitted changes, and the differences of what a build sends."""

    commit: str
    branch: str | None
    changed: tuple[str, ...]
    differences: tuple[Difference, ...]
    inputs: Inputs = field(default_factory=Inputs, compare=False, repr=False)

    @property
    def dirty(self) -> bool:
        """Whether a build now is no build of the commit."""
        return bool(self.changed or self.differences)


def read(manifest: Manifest) -> Status:
    """Return HEAD and the work tree as they are now. Raises ToolFailed, ManifestError."""
    text: list[str] = []
    inputs: list[Inputs] = []
    together([lambda: text.append(ask(manifest)), lambda: inputs.append(compare(manifest))])
    return parse(text[0], inputs[0])


def ask(manifest: Manifest) -> str:
    """The output of `git status` for `parse`: of all that no build sends, as `compare` looks at the rest."""
    root = manifest.root
    inside = [os.path.relpath(context.folder, root) for context in contexts(manifest)]
    excluded = [f":(exclude,literal){Path(path).as_posix()}" for path in inside if not path.startswith("..")]
    top = top_of(root.resolve()) or root.resolve()
    prefix = "" if top == root.resolve() else f"{root.resolve().relative_to(top).as_posix()}/"
    return f"{prefix}\0{git(root, *_STATUS, '--', ':(top)', *excluded)}"


def parse(text: str, inputs: Inputs) -> Status:
    """Parse what `ask` returned."""
    commit, branch = "", None
    changed = []
    prefix, *records = text.split("\0")
    entries = iter(records)
    for entry in entries:
        if entry.startswith("# branch.oid "):
            commit = entry.removeprefix("# branch.oid ")
        elif entry.startswith("# branch.head "):
            name = entry.removeprefix("# branch.head ")
            branch = None if name == "(detached)" else name
        elif entry[:2] in {"1 ", "2 ", "u "}:
            fields = {"1": 8, "2": 9, "u": 10}[entry[0]]
            changed.append(_relative(entry.split(" ", fields)[fields], prefix))
            if entry[0] == "2":
                next(entries, "")  # the path before the rename
    changed += inputs.uncommitted
    return Status(commit=commit, branch=branch, changed=tuple(changed), differences=inputs.differences, inputs=inputs)


def _relative(path: str, prefix: str) -> str:
    """Make a path that is relative to the repository's top relative to the manifest's folder."""
    return Path(os.path.relpath(path, prefix)).as_posix() if prefix else path


def described(changed: Sequence[str], differences: Sequence[Difference]) -> str:
    """Why a build is no build of the commit: each path with its reason, the first eight."""
    known = {difference.path for difference in differences}
    paths = [*map(str, differences), *(f"{path} (not committed)" for path in changed if path not in known)]
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{', '.join(paths[:_SHOWN])}{more}"


def remedies(changed: Sequence[str], differences: Sequence[Difference]) -> str:
    """What to do about the differences, each remedy once, in the order of the paths."""
    fixes = [difference.fix for difference in differences] + (["git commit, or git stash"] if changed else [])
    return "; ".join(dict.fromkeys(fixes))
