"""The scripts that make a shell complete ./inv: inv.bash, inv.zsh and inv.fish."""

from __future__ import annotations

from pathlib import Path

from build.errors import UsageError
from build.typed import suggest

_FOLDER = Path(__file__).parent


def script(shell: str) -> str:
    """Return the script for a shell. Raises UsageError for one that there is no script for."""
    known = sorted(path.suffix[1:] for path in _FOLDER.glob("inv.*"))
    if shell not in known:
        raise UsageError(f"no completion for '{shell}'{suggest(shell, known)}", hint=f"one of: {', '.join(known)}")
    return (_FOLDER / f"inv.{shell}").read_text(encoding="utf-8")
