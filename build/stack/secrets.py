"""Runtime secret files: created once, checked before every start, never printed.

Compose mounts a file with its owner and mode, so the file itself must be readable by the containers' user and by nobody
else: 0400 and owned by that user where this one may chown, else 0444 inside a folder that only its owner can enter (the
bind mount shows the file to the container, the folder hides it from everybody on the host). Windows has no modes: there
the folder is in a place that Windows closes to other users (secret_folder.py).
"""

from __future__ import annotations

import contextlib
import os
import secrets as random
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from build import console
from build.config.manifest import Manifest
from build.engine import root
from build.engine.hardening import UID
from build.errors import SecretError
from build.stack import secret_folder
from build.typed import suggest

_HINT = "./inv secrets.init"


@contextlib.contextmanager
def _permission_as_secret_error() -> Iterator[None]:
    """Convert PermissionError to SecretError: only the user who created the folder may enter it, and sudo is another.

    The hint never suggests chown: the files belong to the containers' user.
    """
    try:
        yield
    except PermissionError as error:
        message = f"{error.filename} is closed to this user"
        raise SecretError(message, hint="run as the user who created .uc (root, if that was sudo)") from None


@_permission_as_secret_error()
def initialise(manifest: Manifest) -> dict[str, str]:
    """Create the missing secret files: name → made | kept | empty. Never overwrites one.

    A `random` secret gets 43 URL-safe characters; an `external` one is created empty, for its owner to fill in place.
    On a disk without file modes, what was filled in at the usual place moves to the one that is used instead.
    Raises SecretError when the folder is another user's, or no place keeps file modes.
    """
    folder = secret_folder.locate(manifest)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    usual = manifest.workspace.secrets
    if moves := folder != usual:
        console.note(f"secrets are in {folder}: the disk of {manifest.workspace.root} keeps no file modes")
    outcome = {}
    for name, kind in manifest.secrets.items():
        path = folder / name
        if path.exists():
            outcome[name] = "kept" if path.stat().st_size else "empty"
            continue
        earlier = (usual / name).read_text(encoding="utf-8") if moves and (usual / name).exists() else ""
        content = earlier or (random.token_urlsafe(32) + "\n" if kind == "random" else "")
        temporary = path.with_name(f".{name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        _close_to_others(temporary)
        temporary.replace(path)
        if moves:
            (usual / name).unlink(missing_ok=True)
        outcome[name] = "kept" if earlier else "made" if content else "empty"
    return outcome


def planned(manifest: Manifest) -> dict[str, str]:
    """What `initialise` would do: name → would be made | kept | would be empty | empty."""
    folder, outcome = secret_folder.locate(manifest), {}
    for name, kind in manifest.secrets.items():
        path = folder / name
        if path.exists():
            outcome[name] = "kept" if path.stat().st_size else "empty"
        else:
            outcome[name] = "would be made" if kind == "random" else "would be empty"
    return outcome


def _close_to_others(path: Path) -> None:
    if sys.platform == "win32":  # its one mode is "read-only", which would only be in the way of a rotation
        return
    if root.is_root():
        with contextlib.suppress(OSError):  # root of a namespace without that user, or a disk that refuses
            os.chown(path, UID, UID)
            path.chmod(0o400)
            return
    path.chmod(0o444)


@_permission_as_secret_error()
def check(manifest: Manifest, names: Iterable[str], *, folder: Path | None = None) -> None:
    """Raise SecretError, naming every problem, when a secret file is missing, empty, or open to others.

    The files are those of the checkout, or in `folder`. A folder of another user's is a single problem.
    """
    place = folder or secret_folder.locate(manifest)
    problems = [problem for name in dict.fromkeys(names) for problem in _problems(manifest, place / name)]
    if problems:
        raise SecretError(
            "\n".join(problems),
            hint=_HINT + ("" if all("missing" in problem for problem in problems) else "   (after fixing the file)"),
        )


def _problems(manifest: Manifest, path: Path) -> Iterable[str]:
    name = path.name
    try:
        file = path.stat()
    except FileNotFoundError:
        yield f"secret {name}: {path} is missing"
        return
    if not file.st_size and manifest.secrets[name] == "random":
        yield f"secret {name}: {path} is empty; remove it, and a new one is created"
    if sys.platform == "win32":
        return
    hidden = not path.parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    mode = f"mode {stat.S_IMODE(file.st_mode):04o}"
    if file.st_mode & stat.S_IROTH and not hidden:
        yield f"secret {name}: {path} is readable by everyone ({mode}): chmod 700 {path.parent}"
    if file.st_mode & stat.S_IWOTH:
        yield f"secret {name}: {path} is writable by everyone ({mode}): chmod 400 {path}"


def value(manifest: Manifest, name: str) -> str:
    """The value that clients send: the first line of the file. Raises SecretError when the file is missing or empty."""
    return value_in(secret_folder.locate(manifest), name)


@_permission_as_secret_error()
def value_in(folder: Path, name: str) -> str:
    """The value that clients send, by the file in a folder of secrets. Raises SecretError as `value` does."""
    path = folder / name
    try:
        lines = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise SecretError(f"secret {name}: {path} is missing", hint=_HINT) from None
    if not lines:
        raise SecretError(f"secret {name}: {path} is empty", hint=f"rm {path} && {_HINT}")
    return lines[0]


def rotate(manifest: Manifest, name: str, *, folder: Path | None = None) -> None:
    """Write a new random value into the file in place: a container keeps the inode that it mounted.

    The old value stays as the second line, so that clients are not refused before they read the new one. The file is
    that of the checkout, or in `folder`.
    Raises SecretError for an external or unknown secret, and without a file of it.
    """
    path = renewable(manifest, name, folder=folder)
    old = value_in(path.parent, name)
    with _writable(path) as file:
        file.write(f"{random.token_urlsafe(32)}\n{old}\n".encode())
        file.truncate()


def finish(manifest: Manifest, name: str, *, folder: Path | None = None) -> bool:
    """End a rotation's overlap, in place: only the first line stays; False when there was no other.

    Raises SecretError as `rotate` does.
    """
    path = renewable(manifest, name, folder=folder)
    current = f"{value_in(path.parent, name)}\n".encode()
    with _writable(path) as file:
        if file.read().strip() == current.strip():
            return False
        # The first line keeps its bytes, so that a concurrent reader finds either all lines or one.
        file.seek(0)
        file.write(current)
        file.truncate()
    return True


def renewable(manifest: Manifest, name: str, *, folder: Path | None = None) -> Path:
    """The file of a random secret. Raises SecretError for an external or unknown one."""
    if name not in manifest.secrets:
        known = ", ".join(key for key, kind in manifest.secrets.items() if kind == "random")
        raise SecretError(f"unknown secret '{name}'{suggest(name, manifest.secrets)}", hint=f"one of: {known}")
    path = (folder or secret_folder.locate(manifest)) / name
    if manifest.secrets[name] != "random":
        raise SecretError(f"secret {name} is external", hint=f"write {path} in place")
    return path


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[BinaryIO]:
    """The file opened for writing in place; its mode is restored afterwards."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | stat.S_IWUSR)
    try:
        with path.open("r+b") as file:
            yield file
    finally:
        path.chmod(mode)
