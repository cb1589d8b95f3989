"""Makes versions.local.toml from flags, from what a user's project has, and from answers at a terminal."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build import console
from build.config import load, local_file
from build.config.manifest import Manifest
from build.errors import ManifestError, UsageError
from build.machine import own_project
from build.registry.connections import is_loopback
from build.typed import suggest

_SOURCES = {
    "modules": "PowerShell modules",
    "agents": "graphs and roles",
    "docs": "documentation",
    "watched": "the tree to watch",
    "nupkgs": "packages (.nupkg) that modules require",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """What the command line says: "" where a flag is absent. `published` has CONTAINER=PORT."""

    root: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    registry: Mapping[str, str] = field(default_factory=dict)
    published: Sequence[str] = ()


@dataclass(slots=True)
class _Draft:
    """The file as far as it is known; each addition is checked as the reader of the file would."""

    root: Path
    shipped: Manifest
    override: dict[str, Any] = field(default_factory=dict)

    def add(self, *settings: tuple[tuple[str, ...], Any]) -> None:
        """Add settings, each with its path, all or none. Raises ManifestError for what the reader would refuse."""
        changed = copy.deepcopy(self.override)
        for path, value in settings:
            table = changed
            for key in path[:-1]:
                table = table.setdefault(key, {})
            table[path[-1]] = value
        try:
            load.overridden(self.root, changed)
        except ManifestError as error:
            raise error.with_message(
                str(error).replace(f"{load.LOCAL}: ", ""),
                hint="give another value; paths are relative to versions.toml",
            ) from None
        self.override = changed

    def accepts(self, path: tuple[str, ...], value: Any) -> bool:
        """Add a setting if the reader takes it; return whether it did."""
        try:
            self.add((path, value))
        except ManifestError:
            return False
        return True


def run(root: Path, flags: Flags, *, ask: bool, dry_run: bool = False) -> None:
    """Write versions.local.toml for the project at `root` and print what was done, or with `dry_run` its text.

    Raises as `compose` does.
    """
    content, settings = compose(root, flags, ask=ask)
    if not dry_run:
        local_file.write(root, content)
    data = {"file": load.LOCAL, "settings": settings, "text": content}
    done = f"wrote {load.LOCAL}; next: ./inv doctor"
    console.outcome(f"write {load.LOCAL}:\n{content}" if dry_run else done, data, planned=dry_run)


def compose(root: Path, flags: Flags, *, ask: bool) -> tuple[str, dict[str, Any]]:
    """Return the text of the file for the project at `root`, and its settings; with `ask` they are asked for.

    Raises ManifestError if there is such a file or a value of a flag is wrong, UsageError for a flag that names what is
    not there, or when the answers end too early.
    """
    local_file.require_absent(root)
    draft = _Draft(root, load.overridden(root, {}))
    try:
        _sources(draft, flags, ask=ask)
        _registry(draft, flags, ask=ask)
        _published(draft, flags, ask=ask)
    except EOFError:
        raise UsageError("the answers ended before the questions", hint="./inv init --yes, with flags") from None
    return local_file.text(draft.shipped, draft.override), draft.override


def _sources(draft: _Draft, flags: Flags, *, ask: bool) -> None:
    draft.add(*((("sources", key), _expanded(value)) for key, value in flags.sources.items() if value))
    project = flags.root
    if ask and not project and not any(flags.sources.values()):
        project = _folder(
            draft.root, "your project's folder, whose modules, agents and docs are used (none: the examples)"
        )
    if project:
        _suggest(draft, _expanded(project))
    if ask:
        for key in draft.shipped.sources:
            if not flags.sources.get(key):
                _question(draft, ("sources", key), _SOURCES.get(key, key), draft.shipped.sources[key])


def _folder(root: Path, question: str) -> str:
    while (answer := _expanded(console.ask(question))) and not (root / answer).is_dir():
        console.error(f"no such folder: {answer}")
    return answer


def _suggest(draft: _Draft, project: str) -> None:
    """Take the first of what could be each source in the user's project that the reader accepts."""
    if not (draft.root / project).is_dir():
        raise UsageError(f"--root: no such folder: {project}", hint="relative to versions.toml, as in the file")
    given = draft.override.get("sources", {})
    for key, names in own_project.candidates(draft.root / project).items():
        if key not in draft.shipped.sources or key in given:
            continue
        paths = [os.path.normpath(Path(project) / name).replace(os.sep, "/") for name in names]
        taken = next((path for path in paths if draft.accepts(("sources", key), path)), "")
        console.note(f"{key}: {taken or f'none in {project}'}")


def _registry(draft: _Draft, flags: Flags, *, ask: bool) -> None:
    given = {
        key: _expanded(value) if key.endswith("_file") else value for key, value in flags.registry.items() if value
    }
    draft.add(*((("registry", key), value) for key, value in given.items()))
    shipped = draft.shipped.registry
    if ask and "address" not in given:
        _question(draft, ("registry", "address"), "registry (HOST:PORT)", shipped.address)
    address = draft.override.get("registry", {}).get("address", shipped.address)
    if shipped.embedded and not is_loopback(address):
        draft.add((("registry", "embedded"), False))
    if not ask:
        return
    keys = {"namespace": "namespace: images are ADDRESS/NAMESPACE/SERVICE"}
    if not is_loopback(address):
        keys |= {
            "username": "user name (none: docker login's)",
            "password_file": "file with the password (none: docker login's)",
            "ca_file": "file with the CA of its certificate (none: the machine trusts it)",
        }
    for key, question in keys.items():
        if key not in given:
            _question(draft, ("registry", key), question, getattr(shipped, key))


def _published(draft: _Draft, flags: Flags, *, ask: bool) -> None:
    ports = {container: settings.published for container, (_, settings) in draft.shipped.containers().items()}
    given = dict(_port(item, ports) for item in flags.published)
    draft.add(*((_path(draft.shipped, container), port) for container, port in given.items()))
    if ask and ports and not given:
        listed = ", ".join(f"{port} {container}" for container, port in ports.items())
        if console.ask(f"ports on this machine: {listed}. Keep them? [Y/n]").lower() in {"n", "no"}:
            for container, port in ports.items():
                _question(draft, _path(draft.shipped, container), container, port)


def _port(item: str, ports: Mapping[str, int]) -> tuple[str, int]:
    container, _, port = item.partition("=")
    if container not in ports:
        known = suggest(container, ports)
        raise UsageError(f"--published: unknown container '{container}'{known}", hint=f"one of {', '.join(ports)}")
    if not port.isascii() or not port.isdecimal():
        raise UsageError(f"--published: expected CONTAINER=PORT, found '{item}'", hint=f"--published {container}=9080")
    return container, int(port)


def _path(shipped: Manifest, container: str) -> tuple[str, ...]:
    """The path of the key that sets a container's port."""
    service = shipped.containers()[container][0]
    own = ("containers", container) if container in shipped.services[service].containers else ()
    return ("services", service, *own, "published")


def _question(draft: _Draft, path: tuple[str, ...], question: str, shipped: str | int) -> None:
    """Ask for a setting until the reader takes the answer; what versions.toml says already is not written."""
    suggested: Any = draft.override
    for key in path:
        suggested = suggested.get(key, {})
    while True:
        answer = _expanded(console.ask(question, str(suggested or shipped)))
        if answer == str(suggested or shipped):
            return
        value = int(answer) if isinstance(shipped, int) and answer.isascii() and answer.isdecimal() else answer
        try:
            draft.add((path, value))
        except ManifestError as error:
            console.error(str(error))
        else:
            return


def _expanded(path: str) -> str:
    """A path as a shell would give it: at a question, and behind `--flag=`, `~` is still there."""
    return str(Path(path).expanduser()) if path.startswith("~") else path
