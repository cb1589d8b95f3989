"""The toolkit's own environment: makes .venv from requirements.txt, and puts requirements-test.txt on top for tests.

A copy of the lock in .venv, written last, says what was installed. All of this runs on the standard library alone:
it runs before anything is installed. `python -m build.machine.environment` adds what tests need.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build import console
from build.config.workspace import Workspace
from build.errors import INTERRUPTED, BuildError, ToolFailed
from build.lock import Holder, exclusive
from build.machine import installer
from build.machine.installer import Installer

LOCK, TEST_LOCK = "requirements.txt", "requirements-test.txt"
_PATIENCE_SECONDS = 1800
_WINDOWS = os.name == "nt"


@dataclass(frozen=True, slots=True)
class _Place:
    """A checkout, and where its environment and the set-up's own files are."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return python(self.root)

    @property
    def has_invoke(self) -> bool:
        """Whether the program that runs tasks is there."""
        return shutil.which("invoke", path=str(scripts(self.root))) is not None

    @property
    def made_in(self) -> Path:
        """A file that names the folder which the scripts of .venv point into: a copy of it is not usable."""
        return self.venv / "made-in"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root / ".uc")

    def read(self, lock: str) -> bytes:
        return (self.root / lock).read_bytes()

    def stamp_of(self, lock: str) -> Path:
        return self.venv / lock

    def stamp(self, lock: str, content: bytes) -> None:
        unfinished = self.venv / f"{lock}.new"
        unfinished.write_bytes(content)
        unfinished.replace(self.stamp_of(lock))

    def installed(self, lock: str) -> bool:
        """Whether .venv is stamped with this lock as it is now."""
        try:
            return self.stamp_of(lock).read_bytes() == self.read(lock)
        except FileNotFoundError:
            return False

    def installer(self, held: IO[bytes]) -> Installer:
        self.workspace.setup_log.write_bytes(b"")
        return Installer(python=self.python, workspace=self.workspace, held=(held.fileno(),))


def scripts(root: Path) -> Path:
    """The folder of .venv's programs."""
    return root / ".venv" / ("Scripts" if _WINDOWS else "bin")


def python(root: Path) -> Path:
    """The Python of .venv."""
    return scripts(root) / ("python.exe" if _WINDOWS else "python")


def ready(root: Path) -> bool:
    """Whether .venv is whole, made here, and of this requirements.txt."""
    place = _Place(root)
    try:
        made_here = place.made_in.read_text(encoding="utf-8").strip() == str(root)
    except FileNotFoundError:
        return False
    return made_here and place.python.exists() and place.has_invoke and place.installed(LOCK)


def is_active(root: Path) -> bool:
    """Whether this process runs in .venv."""
    return Path(sys.prefix) == root / ".venv"


def ensure(root: Path) -> None:
    """Make .venv unless it is ready. Whatever ends that early, what was there before comes back.

    Raises ToolFailed when it can't be made, MissingTool when there is no pip to make it with.
    """
    if not ready(root):
        with _alone(root) as held:
            if not ready(root):
                _make(_Place(root), held)


def ensure_tests(root: Path) -> None:
    """Put the packages of the tests on top of .venv, unless they are there.

    Raises ToolFailed when they can't be installed, or when .venv itself is not ready.
    """
    place = _Place(root)
    if not place.installed(TEST_LOCK):
        with _alone(root) as held:
            if not place.installed(TEST_LOCK):
                _add_tests(place, held)


def _make(place: _Place, held: IO[bytes]) -> None:
    lock = place.read(LOCK)
    count = len(installer.requirements(lock.decode()))
    with console.step(f"making .venv: Python {platform.python_version()}, {count} packages"), _replacing(place):
        venv.create(place.venv, symlinks=not _WINDOWS)
        place.installer(held).synchronise({LOCK: lock.decode()})
        if not place.has_invoke:
            raise ToolFailed("the packages were installed, but not into .venv", hint=f"see {place.workspace.setup_log}")
        place.made_in.write_text(f"{place.root}\n", encoding="utf-8")
        place.stamp(LOCK, lock)


def _add_tests(place: _Place, held: IO[bytes]) -> None:
    if not ready(place.root):
        raise ToolFailed(f".venv is not what {LOCK} says", hint="./inv --version makes it anew")
    if not os.access(place.venv, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ToolFailed(f"{place.venv} can't be written", hint=f"sudo chown -R \"$USER\" '{place.venv}'")
    locks = {name: place.read(name) for name in (LOCK, TEST_LOCK)}
    texts = {name: lock.decode() for name, lock in locks.items()}
    added = installer.requirements(texts[TEST_LOCK]).keys() - installer.requirements(texts[LOCK]).keys()
    with console.step(f"adding to .venv what tests need: {len(added)} packages"):
        place.stamp_of(TEST_LOCK).unlink(missing_ok=True)  # from here on it may be neither the old nor the new one
        place.installer(held).synchronise(texts)
        place.stamp(TEST_LOCK, locks[TEST_LOCK])


@contextlib.contextmanager
def _replacing(place: _Place) -> Iterator[None]:
    """Around the making of .venv: the one before is moved away, not removed, and comes back unless the new is ready."""
    try:
        if place.workspace.venv_unfinished.exists():  # what is called .venv now is what a killed set-up left
            shutil.rmtree(place.venv, ignore_errors=True)
        elif place.venv.exists():
            shutil.rmtree(place.workspace.previous_venv, ignore_errors=True)
            place.venv.rename(place.workspace.previous_venv)
        place.workspace.venv_unfinished.touch()
    except OSError as error:
        raise ToolFailed(
            f".venv can't be replaced: {error}", hint="end what runs from it (an editor's Python?), then ./inv again"
        ) from None
    try:
        yield
    finally:
        with _uninterrupted():
            if not ready(place.root):
                shutil.rmtree(place.venv, ignore_errors=True)
                if place.workspace.previous_venv.exists():
                    place.workspace.previous_venv.rename(place.venv)
            place.workspace.venv_unfinished.unlink()
            shutil.rmtree(place.workspace.previous_venv, ignore_errors=True)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[IO[bytes]]:
    """Hold the set-up's lock. The system gives it back when this process and what it started have ended, however."""
    workspace = _Place(root).workspace
    announced = False

    def waiting(holder: Holder, waited: float) -> None:
        nonlocal announced
        if waited > _PATIENCE_SECONDS:
            hint = f"end it, or: rm '{workspace.setup_lock}'"
            raise ToolFailed("another ./inv has been making .venv for half an hour", hint=hint)
        if waited > 1 and not announced:
            console.note(f"another ./inv is making .venv: waiting for {holder}")
            announced = True

    with contextlib.ExitStack() as lock:
        try:
            workspace.root.mkdir(exist_ok=True)
            file = lock.enter_context(exclusive(workspace.setup_lock, f"the set-up of {root}", waiting))
        except OSError as error:
            hint = f"sudo chown -R \"$USER\" '{workspace.root}'"
            raise ToolFailed(f"{workspace.root} can't be written: {error.strerror}", hint=hint) from None
        try:
            yield file
        except OSError as error:
            raise ToolFailed(f".venv can't be made: {error}", hint=f"df -h '{root}'") from None


def main() -> int:
    """Add what tests need to the .venv of the checkout that is the working folder; the exit code."""
    try:
        ensure_tests(Path.cwd())
    except BuildError as error:
        console.error(str(error), hint=error.hint, output=error.output)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
