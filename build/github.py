"""What GitHub Actions reads of a task: workflow commands in the log, and the summary of the job.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

# A larger file is refused as a whole when the step has ended.
SUMMARY_LIMIT = 1 << 20
# The body of a release: "body is too long (maximum is 125000 characters)".
NOTES_LIMIT = 125_000
# What Markdown acts on within a line of text; an underline does nothing inside a word.
_SIGNS = re.compile(r"[&<>|`*\[\\~\n\r]|(?<![^\W_])_|_(?![^\W_])")
_SHOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "\n": " ", "\r": " "}
_NO_SPAN = re.compile(r"[`|\\\n\r]|^ | $")
_CUT = "\n\n… the rest is left out: a summary has 1 MiB\n"


def is_running() -> bool:
    """Whether this is a job of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def command(name: str, text: str) -> str:
    """The line that makes `text` an annotation (error, warning) or the title of a group, whatever is in it."""
    return f"::{name}::" + text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


class Code(str):
    """Text that Markdown shows as code, so that no @ in it calls anybody: names, versions, values."""

    __slots__ = ()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; its cells show their text as it is, and those that are Code as code."""
    lines = [columns, ["---"] * len(columns), *([_cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    if not isinstance(text, Code) or not text:
        return _escaped(text)
    # In a span of code, neither an entity nor a backslash says what a table or a backtick would take for its own.
    return f"<code>{_escaped(text)}</code>" if _NO_SPAN.search(text) else f"`{text}`"


def _escaped(text: str) -> str:
    return _SIGNS.sub(lambda match: _SHOWN.get(match[0]) or f"&#{ord(match[0])};", text)


def fitting(markdown: str, limit: int) -> str:
    """The text as far as it may be long, in characters: whole lines, with a note where some are left out."""
    if len(markdown) <= limit:
        return markdown
    note = f"\n\n… the rest is left out: there is space for {limit} characters\n"
    return markdown[: limit - len(note)].rpartition("\n")[0] + note


def summarise(markdown: str) -> None:
    """Append to the job's summary, as far as there is space for it; nothing where there is none.

    Raises OSError when it can't be written.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    content = f"{markdown}\n".encode()
    with Path(name).open("ab") as file:
        space = SUMMARY_LIMIT - file.tell()
        if len(content) > space:
            room = space - len(_CUT.encode())
            # Whole lines, and never half a character.
            content = content[:room].rpartition(b"\n")[0] + _CUT.encode() if room > 0 else b""
        file.write(content)
