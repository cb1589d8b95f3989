"""Makes .venv when none fits requirements.txt, then runs the tasks: the slow half of ./inv and inv.cmd.

Starts on any Python 3, so that an old one gets a clear answer. What it starts needs the standard library only.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(os.path.realpath(__file__)).parent
MISSING_TOOL = 7
# SIGHUP and SIGTERM end the set-up as Ctrl-C does: what was there before comes back.
ENDING = {"SIGHUP": 129, "SIGTERM": 143}


def main(arguments: list[str]) -> int:
    """Make .venv if that is needed, then run the tasks in the caller's folder; its exit code."""
    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="replace")  # a console may lack a character
    if sys.version_info < (3, 11):  # noqa: UP036  (an older Python may well be what runs this)
        print(f"error: Python 3.11 or newer is needed, this is {sys.version.split()[0]}", file=sys.stderr)
        print("  try: winget install Python.Python.3.13", file=sys.stderr)
        return MISSING_TOOL
    sys.path.insert(0, str(ROOT))
    from build import console
    from build.errors import BuildError
    from build.machine import environment

    for name, code in ENDING.items():
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup lets it be ignored
            signal.signal(number, functools.partial(_leave, code))
    try:
        environment.ensure(ROOT)
    except BuildError as error:
        console.error(str(error), hint=error.hint, output=error.output)
        return error.exit_code
    argv = [str(environment.python(ROOT)), str(ROOT / "build" / "program" / "start.py"), *arguments]
    if os.name != "nt":  # there the caller would go on before the tasks have ended
        os.execv(argv[0], argv)  # noqa: S606  (an argv, no shell)
    return subprocess.call(argv)


def _leave(code: int, _number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(code)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
