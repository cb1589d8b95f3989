"""Compare the agents' requirements.txt with the service's lock before anything is installed from it.

usage: settle_requirements.py LOCK FOLDER      FOLDER has requirements.txt, and agents.toml if there is one
Where they contradict each other, the service's versions are written into FOLDER/requirements.txt, because the service
can't run on others, and each is reported. With `[requirements] conflicts = "refuse"` in agents.toml, exit code 1 names
every contradiction at once instead.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from requirements_conflicts import Conflict, conflicts, preferring_service, unread

SERVICE = "langgraph-api"
CHOICES = ("service", "refuse")


def _required_by() -> dict[str, list[str]]:
    """Return who needs a package, of those that are installed: the service's lock has no comments that say it."""
    needed: dict[str, list[str]] = {}
    for installed in distributions():
        for text in installed.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed.setdefault(canonicalize_name(requirement.name), []).append(installed.name)
    return {name: sorted(set(who)) for name, who in needed.items()}


def _choice(folder: Path) -> str:
    declared = folder / "agents.toml"
    try:
        table: Any = tomllib.loads(declared.read_text("utf-8")).get("requirements", {}) if declared.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"agents.toml: {error}") from error
    choice = table.get("conflicts", "service") if isinstance(table, dict) else table
    if choice not in CHOICES:
        raise ValueError(f'agents.toml: [requirements] conflicts = {choice!r}: expected "service" or "refuse"')
    return str(choice)


def _line(conflict: Conflict) -> str:
    who = ", ".join(conflict.required_by) or f"{SERVICE} itself"
    wanted = f"{conflict.package}{conflict.specifier}"
    return f"  line {conflict.line}: {wanted}, but {SERVICE} has {conflict.version} (needed by {who})"


def _settle(lock: str, folder: Path) -> list[str]:
    """Return why the file can't be installed from; [] when it can."""
    path = folder / "requirements.txt"
    owner = path.read_text("utf-8")
    if other := unread(owner):
        lines = [f"  line {number}: {text}" for number, text in other]
        remedy = "uv pip compile requirements.txt --output-file requirements.lock writes the whole list"
        return ["the agents' requirements.txt names other files, and only itself is read:", *lines, remedy]
    found = conflicts(owner, lock, required_by=_required_by())
    if not found:
        return []
    many = f"{len(found)} place{'' if len(found) == 1 else 's'}"
    if _choice(folder) == "service":
        path.write_text(preferring_service(owner, lock), "utf-8")
        sys.stdout.write(f"WARNING: the service's versions are installed instead of the agents' in {many}:\n")
        sys.stdout.writelines(f"WARNING: {_line(conflict)}\n" for conflict in found)
        return []
    remedy = "change these lines, or remove `conflicts` from agents.toml: the service's versions win then"
    head = f"the agents' requirements.txt contradicts the packages of {SERVICE} in {many}:"
    return [head, *(_line(conflict) for conflict in found), remedy]


def main() -> int:
    """Compare, report, write. Exit code 1 when the file can't be installed from."""
    lock, folder = Path(sys.argv[1]).read_text("utf-8"), Path(sys.argv[2])
    try:
        reasons = _settle(lock, folder)
    except (OSError, UnicodeError, ValueError) as error:
        reasons = [str(error)]
    sys.stdout.flush()
    sys.stderr.writelines(f"{reason}\n" for reason in reasons)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
