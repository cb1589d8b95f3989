"""The Trivy program: where it is, the environment it runs in, and its own failures as errors of ours."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
import time
from pathlib import Path

from build.errors import MissingTool, ScanBroken, ToolFailed
from build.process import Outcome, run

REFUSED = 3  # asked for by --exit-code: 1 and 2 are Trivy's own failures and must stay apart from findings
_TIMEOUT_MINUTES = 15
_LOCKED = "cache may be in use by another process"
_LOCK_SECONDS = 300
_QUIET = {"TRIVY_DISABLE_TELEMETRY": "true", "TRIVY_SKIP_VERSION_CHECK": "true"}
_KEPT = {"TRIVY_USERNAME", "TRIVY_PASSWORD", "TRIVY_REGISTRY_TOKEN", "TRIVY_CACERT"}


def program() -> str:
    """The path of `trivy`: the one installed with this Python, else the first on PATH.

    Raises MissingTool when there is neither.
    """
    found = shutil.which("trivy", path=str(Path(sys.executable).parent)) or shutil.which("trivy")
    if found is None:
        raise MissingTool("trivy is not installed: it is neither beside this Python nor on PATH", hint="./inv doctor")
    return found


def environment() -> dict[str, str]:
    """What is added to Trivy's environment.

    Every TRIVY_ variable is a flag, and one left in a shell (TRIVY_SKIP_DIRS, TRIVY_IGNORE_UNFIXED) would open the gate
    unseen. Trivy takes an empty one as unset, so all but the credentials are emptied.
    """
    emptied = {name: "" for name in os.environ if name.startswith("TRIVY_") and name not in _KEPT}
    return {**emptied, **_QUIET}


def trivy(cache: Path, *arguments: str, ok_codes: tuple[int, ...] = (0,), hint: str = "") -> Outcome:
    """Run `trivy ARGUMENTS` with the cache folder `cache`.

    It runs inside that folder, because a trivy.yaml, .trivyignore or trivy-secret.yaml in the current one would be
    obeyed unasked. Raises MissingTool, or ScanBroken with Trivy's output for a code outside `ok_codes`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    argv = [program(), *arguments, "--cache-dir", str(cache), "--timeout", f"{_TIMEOUT_MINUTES}m"]
    try:
        return _patiently(argv, cache, ok_codes)
    except ToolFailed as error:
        message = f"trivy {arguments[0]} failed ({_kind(error.returncode)})"
        output = (error.output or str(error)).partition("\ngoroutine ")[0]  # a crash adds pages of stack
        raise ScanBroken(message, hint=hint, output=output) from None


def _patiently(argv: list[str], cache: Path, ok_codes: tuple[int, ...]) -> Outcome:
    """Run Trivy, again while another scan holds the cache: Trivy itself waits five seconds for its lock."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return run(argv, cwd=cache, env=environment(), ok_codes=ok_codes, timeout=60 * (_TIMEOUT_MINUTES + 1))
        except ToolFailed as error:
            if _LOCKED not in error.output or time.monotonic() > deadline:
                raise


def _kind(returncode: int) -> str:
    return "it crashed" if returncode == 2 else f"exit code {returncode}"


def insecure(reference: str) -> list[str]:
    """`--insecure` for a registry on loopback, and for no other.

    Trivy speaks plain HTTP to 127.0.0.1 and localhost of its own accord, to the rest of 127.0.0.0/8 only with the flag.
    """
    registry = reference.partition("/")[0]
    try:
        address = ipaddress.ip_address(registry.partition(":")[0])
    except ValueError:  # a name, and a name may start with 127. too
        return []
    return ["--insecure"] if address.is_loopback and str(address) != "127.0.0.1" else []
