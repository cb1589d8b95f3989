"""What a shell can complete: tasks, their flags and the values of these, written where complete.py finds it at once.

Loading the tasks takes a tenth of a second and more, which is too long for a Tab: the table is made when the files that
it is made from are newer.
"""

from __future__ import annotations

import marshal
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build import json_file
from build.errors import BuildError

if TYPE_CHECKING:
    from build.config.manifest import Manifest
    from build.program.task import ProjectTask


def _sessions(manifest: Manifest) -> list[str]:
    """The sessions of the noxfile, read and not run."""
    text = (manifest.root / "noxfile.py").read_text(encoding="utf-8")
    return re.findall(r"^def (\w+)\(session: nox\.Session(?:, service: str)?\) -> None:", text, re.MULTILINE)


def _clients(_manifest: Manifest) -> Iterable[str]:
    from build.stack.mcp_clients import CLIENTS

    return CLIENTS


# What an argument takes, by its name; a task says otherwise by `values`.
VALUES: dict[str, Callable[[Manifest], Iterable[str]]] = {
    "service": lambda manifest: manifest.services,
    "container": lambda manifest: manifest.containers(),
    "secret": lambda manifest: manifest.secrets,
    "bump": lambda _manifest: ("auto", "patch", "minor", "major"),
    "progress": lambda _manifest: ("auto", "plain", "quiet"),
    "skip": lambda _manifest: ("scan", "smoke"),
    "session": _sessions,
    "client": _clients,
    "shell": lambda _manifest: ("bash", "zsh", "fish"),
}
_FILES = {
    "plan", "apply", "message", "out", "root", "modules", "agents", "docs", "watched", "nupkgs", "password_file",
    "ca_file",
}  # fmt: skip


def known(root: Path, task: ProjectTask, argument: str) -> tuple[str, ...]:
    """The values that an argument of a task may have; none if they can't be listed, or versions.toml can't be read."""
    kind = task.values.get(argument, argument)
    if kind not in VALUES:
        return ()
    try:
        return tuple(VALUES[kind](_manifest(root)))
    except (BuildError, OSError):  # a project may have no noxfile
        return ()


def write(path: Path, root: Path, tasks: Mapping[str, ProjectTask]) -> None:
    """Write the table of these tasks to a file, in one step, as what Python reads without loading a module."""
    manifest = _manifest(root)
    table = {
        "tasks": {name: _task(task) for name, task in tasks.items()},
        "values": {kind: list(values(manifest)) for kind, values in VALUES.items()},
    }
    json_file.replace(path, marshal.dumps(table))


def _task(task: ProjectTask) -> dict[str, Any]:
    flags = {}
    for argument in task.get_arguments(ignore_unknown_help=True):
        name = str(argument.name)
        kind = task.values.get(name, name)
        takes = kind if kind in VALUES else "files" if name in _FILES else "other" if argument.takes_value else ""
        for spelling in argument.names:
            flags[f"--{spelling}" if len(spelling) > 1 else f"-{spelling}"] = takes
    bare = task.bare or next(iter(task.positional), "")
    return {"summary": _summary(task), "flags": flags, "bare": task.values.get(bare, bare)}


def _summary(task: ProjectTask) -> str:
    return (task.__doc__ or "").strip().partition("\n")[0].removesuffix(".")


def _manifest(root: Path) -> Manifest:
    from build.config.load import load

    return load(root, os.environ)
