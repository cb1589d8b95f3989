"""Runs Trivy: its environment, its cache, and its failures as errors of this toolkit."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest, Tools
from build.diagnosis import Diagnosis
from build.errors import ScanBroken, ToolFailed
from build.gates.scan import container, program
from build.parallel import alive
from build.process import Outcome, run

REFUSED = 3  # passed to --exit-code: 1 and 2 are failures of Trivy itself, and must differ from findings
_TIMEOUT_MINUTES = 15
_LOCKED = "cache may be in use by another process"
_LOCK_SECONDS = 300
_TEMPORARY = "temporary-"
_TEMPORARY_FOLDERS = ("TMPDIR", "TMP", "TEMP") if sys.platform == "win32" else ("TMPDIR",)
_QUIET = {"TRIVY_DISABLE_TELEMETRY": "true", "TRIVY_SKIP_VERSION_CHECK": "true"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanner:
    """What Trivy is run with: its cache, the settings of where it comes from, and the folder for what is fetched."""

    cache: Path
    tools: Tools
    folder: Path

    @classmethod
    def of(cls, manifest: Manifest) -> Scanner:
        """That of a project."""
        workspace = manifest.workspace
        return cls(cache=workspace.trivy, tools=manifest.tools, folder=workspace.tools.absolute())


def examine(manifest: Manifest) -> Diagnosis:
    """Which Trivy would be run; nothing is fetched. Raises MissingTool when there is none."""
    scanner = Scanner.of(manifest)
    return program.examine(scanner.tools, scanner.folder)


def require(manifest: Manifest) -> None:
    """Fetch Trivy where it is not here. Raises MissingTool when there is none."""
    scanner = Scanner.of(manifest)
    program.find(scanner.tools, scanner.folder)


def trivy(scanner: Scanner, *arguments: str, ok_codes: tuple[int, ...] = (0,), hint: str = "") -> Outcome:
    """Run `trivy ARGUMENTS` with the scanner's cache.

    It runs in that folder because Trivy obeys a trivy.yaml, .trivyignore or trivy-secret.yaml in the current one.
    Raises MissingTool, or ScanBroken with Trivy's output for a code outside `ok_codes`.
    """
    cache = scanner.cache
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    found = program.find(scanner.tools, scanner.folder)
    words = [*arguments, "--cache-dir", str(cache), "--timeout", f"{_TIMEOUT_MINUTES}m"]
    try:
        with tempfile.TemporaryDirectory(prefix=f"{_TEMPORARY}{os.getpid()}-", dir=cache) as folder:
            environment = {**_QUIET, **dict.fromkeys(_TEMPORARY_FOLDERS, folder)}
            if found.source == "image":
                argv = container.command(found.place, words, cache, {**_QUIET, "TMPDIR": folder})
            else:
                argv = [found.place, *words]
            return _patiently(argv, cache, ok_codes, environment)
    except ToolFailed as error:
        message = f"trivy {arguments[0]} failed ({_kind(error.returncode)})"
        output = (error.output or str(error)).partition("\ngoroutine ")[0]  # a crash prints pages of stack traces
        raise ScanBroken(message, hint=hint, output=output) from None


def version(scanner: Scanner) -> str:
    """The version of Trivy, "" if it does not say. Raises as `trivy` does."""
    return str(json.loads(trivy(scanner, "version", "--format", "json").stdout).get("Version", ""))


def _sweep(cache: Path) -> None:
    """Remove the temporary folders of runs that were killed: Trivy unpacks images there."""
    for folder in cache.glob(f"{_TEMPORARY}*"):
        owner = folder.name.removeprefix(_TEMPORARY).partition("-")[0]
        if owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _patiently(argv: list[str], cache: Path, ok_codes: tuple[int, ...], environment: Mapping[str, str]) -> Outcome:
    """Run Trivy, and retry while another scan holds the cache: Trivy itself waits only five seconds for the lock."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return run(argv, cwd=cache, env=environment, ok_codes=ok_codes, timeout=60 * (_TIMEOUT_MINUTES + 1))
        except ToolFailed as error:
            if _LOCKED not in error.output or time.monotonic() > deadline:
                raise


def _kind(returncode: int) -> str:
    return "it crashed" if returncode == 2 else f"exit code {returncode}"


def insecure(reference: str) -> list[str]:
    """`--insecure` for a registry on loopback and no other.

    Trivy uses plain HTTP for 127.0.0.1 and localhost by default, for the rest of 127.0.0.0/8 only with the flag.
    """
    registry = reference.partition("/")[0]
    try:
        address = ipaddress.ip_address(registry.partition(":")[0])
    except ValueError:  # a host name, which may also start with 127.
        return []
    return ["--insecure"] if address.is_loopback and str(address) != "127.0.0.1" else []
