"""What GitHub Actions reads of a task: workflow commands in the log, and the summary of the job.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# A larger file is refused as a whole when the step has ended.
SUMMARY_LIMIT = 1 << 20
_CUT = "\n\n… the rest is left out: a summary has 1 MiB\n"


def is_running() -> bool:
    """Whether this is a job of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def command(name: str, text: str) -> str:
    """The line that makes `text` an annotation (error, warning) or the title of a group, whatever is in it."""
    return f"::{name}::" + text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; its cells show their text as it is."""
    lines = [columns, ["---"] * len(columns), *([_cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    for character, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("\n", " "), ("\r", " ")):
        text = text.replace(character, shown)
    return text


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
