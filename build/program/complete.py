"""Answers a shell's Tab: `complete.py WORD...` prints what the last word may become, one a line, each with its summary.

While the table that completion_table.py wrote is current it imports nothing that the start of Python has not imported:
json alone takes as long as that start. The line `:files` asks for file names.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
TABLE = os.path.join(ROOT, ".uc", "completion")
_SOURCES = ("tasks.py", "noxfile.py", "versions.toml", "versions.local.toml", "build/program/completion_table.py")
_PROGRAM_FLAGS = {"--help": "what there is, or what a task takes", "--list": "the tasks", "--version": "the version"}
_FILES = ":files"
_UNREADABLE = (EOFError, TypeError, ValueError)  # of marshal, whose format is that of one Python


def candidates(table: dict[str, Any], words: list[str]) -> Iterator[str]:
    """Yield what the last of the words may become: a candidate, and after a tab its summary where it has one."""
    *before, current = words or [""]
    task, waiting, used = _position(table, before)
    flags = table["tasks"][task]["flags"] if task else {}
    flag, equals, part = current.partition("=")
    if current == "=":  # bash gives it as a word of its own
        yield from _values(table, waiting, "", "")
    elif waiting:
        yield from _values(table, waiting, "", current)
    elif equals and flags.get(flag):
        yield from _values(table, flags[flag], f"{flag}=", part)
    elif current.startswith("-"):
        yield from _starting(current, ((name, "") for name in flags if name.startswith("--")))
        yield from _starting(current, _PROGRAM_FLAGS.items())
    elif task and table["tasks"][task]["bare"] in table["values"]:
        yield from _values(table, table["tasks"][task]["bare"], "", current, without=used)
    else:
        yield from _starting(current, ((name, entry["summary"]) for name, entry in table["tasks"].items()))


def _position(table: dict[str, Any], words: list[str]) -> tuple[str, str, set[str]]:
    """Where the cursor is: the task that the words belong to, what the flag before takes, and the bare names so far."""
    task, waiting = "", ""
    used: set[str] = set()
    for word in words:
        if waiting:
            waiting = waiting if word == "=" else ""
        elif word.startswith("-") and task:
            flag = word if word.startswith("--") else f"-{word[-1]}"
            waiting = "" if "=" in word else table["tasks"][task]["flags"].get(flag, "")
        elif word in table["tasks"]:
            task, used = word, set()
        else:
            used.add(word)
    return task, waiting, used


def _values(table: dict[str, Any], kind: str, prefix: str, part: str, *, without: Iterable[str] = ()) -> Iterator[str]:
    if kind == "files":
        yield _FILES
    first, comma, last = part.rpartition(",")
    taken = {*first.split(","), *without}
    for value in table["values"].get(kind, ()):
        if value.startswith(last) and value not in taken:
            yield f"{prefix}{first}{comma}{value}"


def _starting(part: str, named: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, summary in named:
        if name.startswith(part):
            yield f"{name}\t{summary}" if summary else name


def _newest() -> float:
    times = [0.0]
    for name in _SOURCES:
        try:
            times.append(os.stat(os.path.join(ROOT, name)).st_mtime)
        except OSError:
            continue
    return max(times)


def _table() -> dict[str, Any]:
    """The table, made anew where it is older than what it is made from or can't be read.

    Raises OSError, or one of _UNREADABLE, without one.
    """
    try:
        if os.stat(TABLE).st_mtime > _newest():
            return _read()
    except (OSError, *_UNREADABLE):
        pass
    import subprocess

    start = os.path.join(ROOT, "build", "program", "start.py")
    subprocess.run([sys.executable, start, "--completion-table", TABLE], capture_output=True, check=False)
    return _read()


def _read() -> dict[str, Any]:
    with open(TABLE, "rb") as file:
        table: dict[str, Any] = marshal.load(file)  # noqa: S302  (a cache of our own, as a .pyc is)
    return table


def main(words: list[str]) -> int:
    """Print the candidates for the last of the words; nothing where there is no table to be had."""
    try:
        table = _table()
    except (OSError, *_UNREADABLE):
        return 0
    print("\n".join(candidates(table, words)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
