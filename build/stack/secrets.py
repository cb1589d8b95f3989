"""Runtime secret files: made once, checked before every start, never shown.

Compose mounts a file as it is, owner and mode included, so the file itself must be readable by the services' user
(10001) and by nobody else: 0400 and owned by 10001 where we may chown, else 0444 inside a folder that only its owner
can enter (the bind mount shows the file to the container, the folder hides it from everybody on the host).
"""

from __future__ import annotations

import contextlib
import os
import secrets as random
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from build.config.manifest import Manifest
from build.engine.hardening import UID
from build.errors import SecretError
from build.typed import suggest

_HINT = "./inv secrets.init"


@contextlib.contextmanager
def _let_in() -> Iterator[None]:
    """Turn a refused file into SecretError: the folder is for the user who made it, and root is another one.

    A file is never to be given to this user instead: it belongs to the services' user.
    """
    try:
        yield
    except PermissionError as error:
        message = f"{error.filename} is closed to this user"
        raise SecretError(message, hint="run as the user who made .uc (root, if that was sudo)") from None


@_let_in()
def initialise(manifest: Manifest) -> dict[str, str]:
    """Make the secret files that are not there yet: name → made | kept | empty. Never overwrites one.

    A `random` secret gets 43 URL-safe characters; an `external` one is made empty, for its owner to fill in place.
    Raises SecretError when the folder is another user's.
    """
    place = manifest.workspace.secrets
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)
    outcome = {}
    for name, kind in manifest.secrets.items():
        path = place / name
        if path.exists():
            outcome[name] = "kept" if path.stat().st_size else "empty"
            continue
        content = random.token_urlsafe(32) + "\n" if kind == "random" else ""
        temporary = path.with_name(f".{name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        _close_to_others(temporary)
        temporary.replace(path)
        outcome[name] = "made" if content else "empty"
    return outcome


def _close_to_others(path: Path) -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(path, UID, UID)
        path.chmod(0o400)
    else:
        path.chmod(0o444)


@_let_in()
def check(manifest: Manifest, names: Iterable[str]) -> None:
    """Raise SecretError, naming every problem, when a secret file is missing, empty, or readable by others.

    A folder that is another user's is one problem.
    """
    problems = [problem for name in dict.fromkeys(names) for problem in _problems(manifest, name)]
    if problems:
        raise SecretError(
            "\n".join(problems),
            hint=_HINT + ("" if all("missing" in p for p in problems) else "   (after mending the file)"),
        )


def _problems(manifest: Manifest, name: str) -> Iterable[str]:
    path = manifest.workspace.secrets / name
    try:
        found = path.stat()
    except FileNotFoundError:
        yield f"secret {name}: {path} is missing"
        return
    if not found.st_size and manifest.secrets[name] == "random":
        yield f"secret {name}: {path} is empty; remove it to have a new one made"
    hidden = not path.parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    mode = f"mode {stat.S_IMODE(found.st_mode):04o}"
    if found.st_mode & stat.S_IROTH and not hidden:
        yield f"secret {name}: {path} is readable by everyone ({mode}): chmod 700 {path.parent}"
    if found.st_mode & stat.S_IWOTH:
        yield f"secret {name}: {path} is writable by everyone ({mode}): chmod 400 {path}"


@_let_in()
def value(manifest: Manifest, name: str) -> str:
    """The value a client of ours sends: the first line of the file. Raises SecretError when it can't be read."""
    path = manifest.workspace.secrets / name
    try:
        lines = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise SecretError(f"secret {name}: {path} is missing", hint=_HINT) from None
    if not lines:
        raise SecretError(f"secret {name}: {path} is empty", hint=f"rm {path} && {_HINT}")
    return lines[0]


def rotate(manifest: Manifest, name: str) -> None:
    """Put a new random value into the file in place: a container keeps the inode that it mounted.

    The old value stays as the second line, so that clients are not refused before they read the new one.
    Raises SecretError for a secret that is not ours to make.
    """
    path = _ours(manifest, name)
    old = value(manifest, name)
    with _writable(path) as file:
        file.write(f"{random.token_urlsafe(32)}\n{old}\n".encode())
        file.truncate()


def finish(manifest: Manifest, name: str) -> bool:
    """End a rotation's overlap, in place: only the first line stays; False when there was no other.

    Raises SecretError for a secret that is not ours to make.
    """
    path = _ours(manifest, name)
    current = f"{value(manifest, name)}\n".encode()
    with _writable(path) as file:
        if file.read().strip() == current.strip():
            return False
        # The first line keeps its bytes, so a reader at this moment finds either all lines or one.
        file.seek(0)
        file.write(current)
        file.truncate()
    return True


def _ours(manifest: Manifest, name: str) -> Path:
    if name not in manifest.secrets:
        known = ", ".join(key for key, kind in manifest.secrets.items() if kind == "random")
        raise SecretError(f"no secret is called '{name}'{suggest(name, manifest.secrets)}", hint=f"one of: {known}")
    if manifest.secrets[name] != "random":
        raise SecretError(f"secret {name} is not made here", hint=f"write {manifest.workspace.secrets / name} in place")
    return manifest.workspace.secrets / name


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[BinaryIO]:
    """The file opened for writing in place, its mode as before afterwards."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | stat.S_IWUSR)
    try:
        with path.open("r+b") as file:
            yield file
    finally:
        path.chmod(mode)
