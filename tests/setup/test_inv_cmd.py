"""inv.cmd as far as it runs here: its lines are read as cmd.exe is documented to read them (batch.py)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.setup import batch
from tests.support.project import REPOSITORY

# What Windows 10 and 11 put on PATH: without arguments it opens the Store, with some it prints where Python can be had.
STORE = "#!/bin/sh\necho 'Python was not found; run without arguments to install from the Microsoft Store'\nexit 9009\n"
OLD = "#!/bin/sh\nexit 1\n"
# A Python of which the program `name` is one; of inv.py it only shows that it is called.
REAL = '#!/bin/sh\ncase "$*" in *inv.py*) echo "{name}: $*"; exit 5;; -3*) shift;; esac\nexec "{python}" "$@"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, and an empty folder for what is on PATH."""
    root = tmp_path / "checkout"
    (root / "bin").mkdir(parents=True)
    shutil.copy(REPOSITORY / "inv.cmd", root)
    (root / "requirements.txt").write_text("invoke\n")
    return root


def put(path: Path, script: str) -> None:
    """Put an executable script there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def run(checkout: Path, *arguments: str) -> tuple[int, list[str]]:
    """What `inv ARGUMENTS` does there."""
    return batch.run(checkout / "inv.cmd", arguments, {"PATH": str(checkout / "bin"), "PYTHONPATH": "/elsewhere"})


@pytest.mark.parametrize(
    ("programs", "taken"),
    [
        ({"python": REAL}, "python"),
        ({"python": STORE, "python3": STORE, "py": REAL}, "py"),
        ({"python": STORE, "python3": REAL}, "python3"),
        ({"python": OLD, "py": REAL}, "py"),
    ],
)
def test_w2_the_first_python_that_runs_makes_the_environment(
    checkout: Path, programs: dict[str, str], taken: str
) -> None:
    """The Store's stand-in is no Python, nor is one that is too old; the task's arguments and exit code are passed on."""
    for name, script in programs.items():
        put(checkout / "bin" / name, script.format(name=name, python=sys.executable))

    code, out = run(checkout, "build", "--push")

    assert code == 5
    launcher = "-3 " if taken == "py" else ""
    assert out == [f"{taken}: {launcher}{checkout}/inv.py build --push"]


@pytest.mark.parametrize("programs", [{}, {"python": STORE, "python3": STORE}, {"py": OLD}])
def test_w2_without_a_python_it_says_what_to_install(checkout: Path, programs: dict[str, str]) -> None:
    """Whatever the Store's stand-in would print, the message is ours, with an exit code of its kind."""
    for name, script in programs.items():
        put(checkout / "bin" / name, script)

    code, out = run(checkout, "build")

    assert code == 7
    assert out == [
        "error: Python 3.11 or newer is needed, and none is on PATH", "  try: winget install Python.Python.3.13"
    ]  # fmt: skip


@pytest.mark.parametrize("stale", ["", "requirements.txt", "made-in"])
def test_an_environment_that_fits_is_used_at_once(checkout: Path, stale: str) -> None:
    """Python is looked for only if .venv is of another lock or another folder; a variable for other Pythons is cleared."""
    put(checkout / "bin" / "python", REAL.format(name="python", python=sys.executable))
    put(checkout / ".venv/Scripts/invoke.exe", STORE)
    put(checkout / ".venv/Scripts/python.exe", '#!/bin/sh\necho "its python [$PYTHONPATH] $*"\nexit 3\n')
    shutil.copy(checkout / "requirements.txt", checkout / ".venv")
    (checkout / ".venv" / "made-in").write_text(f"{checkout}\n")
    if stale:
        (checkout / ".venv" / stale).write_text("another\n")

    code, out = run(checkout, "ps")

    ready = f"its python [] {checkout}/build/program/start.py ps"
    assert (code, out) == ((5, [f"python: {checkout}/inv.py ps"]) if stale else (3, [ready]))
