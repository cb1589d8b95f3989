"""PowerShell modules by the static reader of the service: the engine's own parser, and no module is imported.

It runs in the base image of the service, without network, on the folder as it is.
"""

from __future__ import annotations

import fnmatch
import json
import os
import sys
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.engine import client as engine
from build.engine.hardening import USER
from build.errors import BuildError, MissingTool, ToolFailed
from build.images import bases
from build.sources.examination import Declared, Findings, Problem

BASE = "powershell"
CHECK = "check/check.ps1"  # in the folder of the service
ASK = "modules: ./inv sources reads them"
_SECONDS = 300


def examine(manifest: Manifest, folder: Path, service: str) -> Findings:
    """What the modules in a folder are, as the service's image would have them."""
    base = bases.recorded(manifest, [BASE]).get(BASE) if BASE in manifest.bases.images else None
    if base is None:
        return Findings(unexamined="modules: the base image of PowerShell is not here yet: ./inv bases")
    checker = (manifest.root / manifest.services[service].folder).resolve()
    try:
        document = _read(base.image, checker, folder.resolve())
    except MissingTool as error:
        return Findings(unexamined=f"modules: {error}")
    except BuildError as error:
        reason = error.output.strip().splitlines()[-1:] or [str(error)]
        return Findings(unexamined=f"modules: the reader failed: {reason[0]}")
    critical = manifest.services[service].critical
    return _findings(document, critical)


def _read(image: str, checker: Path, folder: Path) -> Any:
    """The document of the reader. Raises ToolFailed, MissingTool."""
    outcome = engine.cli(
        "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", _user(), "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--env", "HOME=/tmp/home", "--env", "POWERSHELL_TELEMETRY_OPTOUT=1",
        "--env", "POWERSHELL_UPDATECHECK=Off", "--volume", f"{checker}:/src:ro", "--volume", f"{folder}:/modules:ro",
        "--entrypoint", "pwsh", image, "-NoProfile", "-NonInteractive", "-File", f"/src/{CHECK}",
        "-Modules", "/modules", "-Json", timeout=_SECONDS,
    )  # fmt: skip
    try:
        return json.loads(outcome.stdout)
    except ValueError:
        raise ToolFailed("the reader printed no JSON", output=outcome.stdout[-2000:]) from None


def _user() -> str:
    """Who may read the folder; Docker Desktop on Windows lets any user read what it shares."""
    if sys.platform == "win32":
        return USER
    return f"{os.getuid()}:{os.getgid()}"


def _findings(document: Any, critical: tuple[str, ...]) -> Findings:
    declared = [
        Declared(
            kind="module",
            name=str(module["name"]),
            state="ready" if module["state"] == "ready" else "failed",
            reason=": ".join(filter(None, (module.get("kind"), module.get("reason")))),
            fix=str(module.get("fix") or ""),
        )
        for module in document["modules"]
    ]
    problems = [
        Problem(kind="critical", text=f"{each.name} is critical, and {each.reason}", fix=each.fix, stops=True)
        for each in declared
        if each.state == "failed" and any(fnmatch.fnmatchcase(each.name, pattern) for pattern in critical)
    ]
    names = {each.name for each in declared}
    problems += [
        Problem(kind="critical", text=f"{name} is critical, and not in the tree", stops=True,
                fix="correct services.powershell-modules.critical")
        for name in critical
        if not any(mark in name for mark in "*?[") and name not in names
    ]  # fmt: skip
    return Findings(declared=declared, problems=problems)
