"""The Trivy program: its location, its environment, and its failures as errors of this toolkit."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from build.config.manifest import Manifest
from build.diagnosis import Diagnosis
from build.errors import MissingTool, ScanBroken, ToolFailed
from build.parallel import alive
from build.process import Outcome, run

REFUSED = 3  # passed to --exit-code: 1 and 2 are failures of Trivy itself, and must differ from findings
_TIMEOUT_MINUTES = 15
_LOCKED = "cache may be in use by another process"
_LOCK_SECONDS = 300
_TEMPORARY = "temporary-"
_QUIET = {"TRIVY_DISABLE_TELEMETRY": "true", "TRIVY_SKIP_VERSION_CHECK": "true"}


def program() -> str:
    """The path of `trivy`: the one installed with this Python, else the first on PATH.

    Raises MissingTool when there is neither.
    """
    path = shutil.which("trivy", path=str(Path(sys.executable).parent)) or shutil.which("trivy")
    if path is None:
        raise MissingTool("trivy is not installed: it is neither beside this Python nor on PATH", hint="./inv doctor")
    return path


def examine(_manifest: Manifest) -> Diagnosis:
    """The path and the version of `trivy`."""
    try:
        path = program()
    except MissingTool as error:
        return Diagnosis("fail", str(error), "put trivy on PATH, or rm -rf .venv and run ./inv again to reinstall it")
    return Diagnosis("ok", f"{path} {run([path, '--version'], timeout=20).stdout.split()[1]}")


def require(_manifest: Manifest) -> None:
    """Raise MissingTool when there is no `trivy`."""
    program()


def trivy(cache: Path, *arguments: str, ok_codes: tuple[int, ...] = (0,), hint: str = "") -> Outcome:
    """Run `trivy ARGUMENTS` with the cache folder `cache`.

    It runs in that folder because Trivy obeys a trivy.yaml, .trivyignore or trivy-secret.yaml in the current one.
    Raises MissingTool, or ScanBroken with Trivy's output for a code outside `ok_codes`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    argv = [program(), *arguments, "--cache-dir", str(cache), "--timeout", f"{_TIMEOUT_MINUTES}m"]
    try:
        with tempfile.TemporaryDirectory(prefix=f"{_TEMPORARY}{os.getpid()}-", dir=cache) as folder:
            return _patiently(argv, cache, ok_codes, folder)
    except ToolFailed as error:
        message = f"trivy {arguments[0]} failed ({_kind(error.returncode)})"
        output = (error.output or str(error)).partition("\ngoroutine ")[0]  # a crash prints pages of stack traces
        raise ScanBroken(message, hint=hint, output=output) from None


def version(cache: Path) -> str:
    """The version of Trivy, "" if it does not say. Raises as `trivy` does."""
    return str(json.loads(trivy(cache, "version", "--format", "json").stdout).get("Version", ""))


def _sweep(cache: Path) -> None:
    """Remove the temporary folders of runs that were killed: Trivy unpacks images there."""
    for folder in cache.glob(f"{_TEMPORARY}*"):
        owner = folder.name.removeprefix(_TEMPORARY).partition("-")[0]
        if owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _patiently(argv: list[str], cache: Path, ok_codes: tuple[int, ...], temporary: str) -> Outcome:
    """Run Trivy, and retry while another scan holds the cache: Trivy itself waits only five seconds for the lock."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            environ = {**_QUIET, "TMPDIR": temporary}
            return run(argv, cwd=cache, env=environ, ok_codes=ok_codes, timeout=60 * (_TIMEOUT_MINUTES + 1))
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
