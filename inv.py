"""Runs tasks on Windows, as ./inv does elsewhere: makes .venv when none fits requirements.txt, then runs invoke.

Started by inv.cmd when that can't go straight to .venv. Starts on any Python 3, so that an old one gets a clear answer.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(os.path.realpath(__file__)).parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.txt"
# The stamp is written last: a copy of the lock that was installed, and the folder that .venv's scripts point into.
STAMP, MADE_IN = VENV / "requirements.txt", VENV / "made-in"
STATE = ROOT / ".uc"
LOG, OLD, MAKING = STATE / "setup.log", STATE / "venv.old", STATE / "venv.making"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
MISSING_TOOL, TOOL_FAILED = 7, 4
# pip does not ask again for a download that stalls or breaks off in the middle. What it had by then is in its cache.
BROKE_OFF = re.compile(
    "Read timed out|Connection (broken|reset)|IncompleteRead|not enough bytes|DO NOT MATCH THE HASHES"
)


def main(arguments: list[str]) -> int:
    """Make .venv if that is needed, then run invoke in the caller's folder; its exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036  (an older Python may well be what runs this)
        problem = f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}"
        fail(MISSING_TOOL, problem, "winget install Python.Python.3.13")
    if not ready():
        STATE.mkdir(exist_ok=True)
        with (STATE / "setup.locked").open("a+b") as file, alone(file):
            if not ready():
                make_venv()
    return subprocess.call([str(SCRIPTS / "invoke"), "--search-root", str(ROOT), *arguments])


def ready() -> bool:
    """Whether .venv is whole, made here, and of this requirements.txt."""
    try:
        made_here = MADE_IN.read_text(encoding="utf-8").strip() == str(ROOT)
        return made_here and PYTHON.exists() and STAMP.read_bytes() == LOCK.read_bytes()
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def alone(file: IO[bytes]) -> Iterator[None]:
    """Hold the set-up's lock; the system gives it back when this process ends, however it ends."""
    told = False
    while not _try_lock(file):
        if not told:
            say("  another inv is making .venv: waiting for it")
            told = True
        time.sleep(0.2)
    yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_venv() -> None:
    """Make .venv and stamp it. Whatever ends this before the stamp, what was there before comes back."""
    lock = LOCK.read_bytes()
    packages = sum(b"==" in line and not line[:1].isspace() for line in lock.splitlines())
    say(f"» making .venv: Python {sys.version.split()[0]}, {packages} packages (once, a minute or two)")
    try:
        # Moved away, not removed: a set-up that fails (no network) gives it back. What a killed one left is removed.
        if MAKING.exists():
            shutil.rmtree(VENV, ignore_errors=True)
        elif VENV.exists():
            shutil.rmtree(OLD, ignore_errors=True)
            VENV.rename(OLD)
    except OSError as error:
        fail(TOOL_FAILED, f".venv is in use: {error}", "end what runs from it (an editor's Python?), then inv again")
    wanted = STATE / "setup.requirements.txt"
    wanted.write_bytes(lock)
    MAKING.touch()
    options = ["--require-hashes", "--no-input", "--disable-pip-version-check", "-r", str(wanted)]
    try:
        with LOG.open("w", encoding="utf-8") as log:
            _run([sys.executable, "-m", "venv", str(VENV)], log)
            _run([str(PYTHON), "-m", "pip", "install", *options], log, again=BROKE_OFF)
        MADE_IN.write_text(f"{ROOT}\n", encoding="utf-8")
        wanted.replace(STAMP)
    finally:
        if not ready():
            shutil.rmtree(VENV, ignore_errors=True)
            if OLD.exists():
                OLD.rename(VENV)
        wanted.unlink(missing_ok=True)
        MAKING.unlink()
    shutil.rmtree(OLD, ignore_errors=True)


def _run(argv: list[str], log: IO[str], again: re.Pattern[str] | None = None) -> None:
    if subprocess.call(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT) == 0:
        return
    if again and again.search(LOG.read_text(encoding="utf-8", errors="replace")):
        say("  a download broke off: once more")
        _run(argv, log)
        return
    for line in LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]:
        say(f"  | {line}")
    fail(
        TOOL_FAILED,
        f"the packages of requirements.txt could not be installed (all of it: {LOG})",
        "inv again; a proxy or an index of your own is set for pip: HTTPS_PROXY, PIP_INDEX_URL, PIP_CERT",
    )


def say(text: str) -> None:
    """A line on stderr, without failing on a console that can't show a character."""
    encoding = sys.stderr.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)


def fail(code: int, message: str, hint: str) -> NoReturn:
    """End with what failed and what mends it."""
    say(f"error: {message}")
    say(f"  try: {hint}")
    raise SystemExit(code)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
