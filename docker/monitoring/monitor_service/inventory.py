"""What the service has to work with: the watched tree and each trigger that is declared, with its state.

An entry that is critical and has failed makes the service unhealthy, by its name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ucservice.secretfile import Secret

from monitor_service.rules_file import RulesFile
from monitor_service.triggers import Target


def entry(kind: str, name: str, state: str, reason: str = "", *, critical: bool = True, **more: Any) -> dict[str, Any]:
    """One entry of the inventory; `state` is ready, failed or pending."""
    return {"kind": kind, "name": name, "state": state, "reason": reason, "critical": critical, **more}


def watched(root: Path, files: int, *, scanned: bool, trouble: str | None) -> dict[str, Any]:
    """The watched tree: ready after its first scan, failed when it can't be read."""
    try:
        readable = os.access(root, os.R_OK | os.X_OK) and root.is_dir()
    except OSError:
        readable = False
    reason = trouble or ("" if readable else "it is no folder that the service may read")
    state = "failed" if reason else "ready" if scanned else "pending"
    return entry(
        "watch", str(root), state, reason or ("" if scanned else "the first scan is not complete"), count=files
    )


def triggers(rules: RulesFile) -> list[dict[str, Any]]:
    """The triggers in force, and those of a file that is refused.

    The latter are critical unless the same file was accepted before: then its older triggers are in force, and a
    mistake in an edit stops nothing.
    """
    entries = [
        entry(
            "trigger",
            trigger.name,
            "failed" if (reason := _unusable(rules.rules.targets[trigger.target])) else "ready",
            reason,
        )
        for trigger in rules.rules.triggers
    ]
    refused = rules.refused
    if refused is not None:
        where = f"line {refused.line}: " if refused.line else ""
        reason = f"{refused.file}: {where}{refused.reason}".splitlines()[0]
        for name in rules.declared or [Path(refused.file).name]:
            entries.append(entry("trigger", name, "failed", reason, critical=not rules.has_accepted))
    return entries


def _unusable(target: Target) -> str:
    if target.auth == "none":
        return ""
    try:
        usable = Secret(target.secret).current() is not None
    except OSError:
        usable = False
    return (
        ""
        if usable
        else f"the secret {target.secret} of the target {target.name} is missing, empty or not printable ASCII"
    )
