"""Which checkout a stack belongs to: labels on its containers, networks and volumes, and who may change them.

Two clones of one project have one project name, and so one stack. The checkout that started it owns it; another one
is refused until its folder is gone. A checkout is known by its folder, and by an identifier in .uc/ that moves with it.
"""

from __future__ import annotations

import functools
import platform
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from build import console, json_file
from build.config.manifest import Manifest
from build.config.workspace import Workspace
from build.engine import client as docker
from build.errors import StackTaken
from build.parallel import together

PATH_LABEL = "org.unity-claude.checkout"
HOST_LABEL = f"{PATH_LABEL}.host"
IDENTIFIER_LABEL = f"{PATH_LABEL}.id"
PROJECT_LABEL = "com.docker.compose.project"


@dataclass(frozen=True, slots=True)
class Owner:
    """A checkout: its folder, the machine that has it, its identifier."""

    path: str
    host: str
    identifier: str

    def __str__(self) -> str:
        """The folder, and the machine if that is another one."""
        return self.path if self.host == platform.node() else f"{self.path} on {self.host}"

    @property
    def gone(self) -> bool:
        """Whether its folder was on this machine and has no checkout any more."""
        return self.host == platform.node() and not (Path(self.path) / "versions.toml").exists()


def labels(manifest: Manifest) -> dict[str, str]:
    """The labels of what this checkout creates."""
    return {
        PATH_LABEL: str(manifest.root.resolve()),
        HOST_LABEL: platform.node(),
        IDENTIFIER_LABEL: _identifier(manifest),
    }


def require_stack(manifest: Manifest, *, take_over: bool = False) -> None:
    """Raise StackTaken when the stack of this project, or the data it left, belongs to another checkout.

    One whose folder is gone is taken over, and said so; `take_over` takes any over. What has no label is taken as it
    is: the versions before this rule made it.
    """
    project = f"label={PROJECT_LABEL}={manifest.project.name}"
    kinds = [functools.partial(owners, kind, project) for kind in ("container", "network", "volume")]
    containers, *remains = together(kinds)
    # A network or volume keeps the labels of its first owner; the containers have those of the last one.
    present = containers or {owner for found in remains for owner in found}
    others = foreign(manifest, present)
    if others and not take_over:
        name = f"[project] name in versions.local.toml, or UC_PROJECT_NAME={manifest.project.name}-2, and other ports"
        owner = others[0]
        message = f"the stack {manifest.project.name} belongs to the checkout {owner}, and this is {manifest.root}"
        hint = f"for a stack of its own: {name}; for this one: cd '{owner.path}', or ./inv up --take-over"
        raise StackTaken(message, hint=hint)
    for owner in others:
        console.warn(f"taking over the stack {manifest.project.name} of the checkout {owner}")
    _adopt(manifest, others)


def require_own(manifest: Manifest, kind: str, name: str, command: str) -> None:
    """Raise StackTaken when the container or volume `name` belongs to another checkout, where `command` is for it."""
    for owner in foreign(manifest, owners(kind, f"name=^{name}$")):
        message = f"{name} was created from the checkout {owner}, and this is {manifest.root}"
        raise StackTaken(message, hint=f"cd '{owner.path}' && {command}")


def owners(kind: str, selection: str) -> set[Owner]:
    """The checkouts that created containers, networks or volumes; those without a label have none.

    `kind` and `selection` are those of `docker KIND ls --filter SELECTION`.
    """
    template = "\t".join(f'{{{{.Label "{label}"}}}}' for label in (PATH_LABEL, HOST_LABEL, IDENTIFIER_LABEL))
    every = ["--all"] if kind == "container" else []
    listed = docker.cli(kind, "ls", *every, "--filter", selection, "--format", template).stdout
    return {Owner(*fields) for line in listed.splitlines() if (fields := line.split("\t"))[0]}


def foreign(manifest: Manifest, present: Iterable[Owner]) -> list[Owner]:
    """The owners that are other checkouts and still there; the others are adopted, with a word."""
    known = json_file.read(manifest.workspace.checkout)
    own = {_identifier(manifest), *known.get("adopted", [])}
    others = [owner for owner in present if owner.identifier not in own and not _is_here(manifest, owner)]
    gone = [owner for owner in others if owner.gone]
    for owner in gone:
        console.note(f"{owner.path} is gone: what it left of {manifest.project.name} belongs to this checkout now")
    _adopt(manifest, gone)
    return sorted((owner for owner in others if not owner.gone), key=str)


def _is_here(manifest: Manifest, owner: Owner) -> bool:
    """Whether it is this checkout under another name (a link), or before its .uc/ was removed."""
    try:
        return owner.host == platform.node() and Path(owner.path).samefile(manifest.root)
    except OSError:
        return False


def _adopt(manifest: Manifest, taken: Iterable[Owner]) -> None:
    """Count what these owners created as this checkout's: the labels of volumes can't be changed."""
    identifiers = [owner.identifier for owner in taken]
    if identifiers:
        record = json_file.read(manifest.workspace.checkout)
        adopted = [*record.get("adopted", []), *identifiers]
        json_file.write(manifest.workspace.checkout, record | {"adopted": list(dict.fromkeys(adopted))})


def _identifier(manifest: Manifest) -> str:
    """The identifier of this checkout, made at its first use. A copy of the folder gets one of its own."""
    place, root = manifest.workspace.checkout, str(manifest.root.resolve())
    record = json_file.read(place)
    before = str(record.get("path", root))
    if before != root and _identifier_at(Path(before) / manifest.folder) == record.get("id"):
        record = {}
    if not record.get("id") or before != root:
        record = {"id": uuid.uuid4().hex, **record, "path": root}
        json_file.write(place, record)
    return str(record["id"])


def _identifier_at(folder: Path) -> str:
    return str(json_file.read(Workspace(folder).checkout).get("id", ""))
