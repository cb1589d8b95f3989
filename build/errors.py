"""Every user-facing failure and its exit code.

BuildError 1          the doctor has a failing row, or what was asked for is not possible as it was put
├── UsageError 1         a task, a flag or its value is wrong
├── ManifestError 2      versions.toml, versions.local.toml or a UC_ variable is wrong
├── RepositoryError 3    not a git repository, no commit, dirty tree
├── ToolFailed 4         a tool ran and failed: docker, git, apt, trivy
├── ScanRejected 5       a gate refused: findings at or above the threshold
├── SmokeFailed 6        a service answered wrongly or never became healthy
├── MissingTool 7        a tool is missing or too old, or its daemon does not answer
├── ScanBroken 8         a gate could not run: no scanner, stale DB
├── BaseUnavailable 9    no source provides a base image
├── RegistryError 10     the registry refused or is unreachable
├── SecretError 11       a secret file is missing, empty or readable by others
├── PortTaken 12         another process listens on a port that is needed
├── Incomplete 13        some services failed, the others went through
├── ReleaseRefused 14    a release may not start here and now: authority, branch, stale plan, stand-in base
├── VersionTaken 15      another release has the version, or its tag names another digest
├── RolledBack 16        a deploy failed; the target runs the set that it ran before, whole and verified
├── Unfinished 17        the target runs neither the new set nor the old one whole
├── DeployRefused 18     a deploy may not start: its release, the target or what runs there forbids it
├── StackTaken 19        the stack, or the data it left, belongs to another checkout
├── DiskFailed 20        a file can't be written: no space, a quota, a read-only disk, no permission
└── VerificationFailed 21  a signature, attestation, digest or tag of a release is missing or wrong

130 is an interrupt (Ctrl-C), 143 SIGTERM, 129 SIGHUP (interrupts.py), 141 a closed output pipe (| head).
Any other exception is a bug of the toolkit and keeps its traceback.
"""

from __future__ import annotations

import copy
import errno
from typing import Any, TypeVar

INTERRUPTED = 130
OUTPUT_CLOSED = 141
E = TypeVar("E", bound="BuildError")


class BuildError(Exception):
    """What failed and why (`str(error)`), how to fix it (`hint`), and the tool's output if it was hidden."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", output: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.output = output
        if output:
            self.add_note(output)  # for whoever sees a traceback: a test's author

    def with_message(self: E, message: str, *, hint: str) -> E:
        """Return the same failure in other words: its kind, output and status stay."""
        reworded = copy.copy(self)
        reworded.args = (message,)
        reworded.hint = hint
        return reworded


class UsageError(BuildError):
    """The command line names what does not exist, or leaves out what is needed."""


class ManifestError(BuildError):
    """The manifest or one of its overrides is invalid."""

    exit_code = 2


class RepositoryError(BuildError):
    """The git repository is missing, incomplete or in the wrong state."""

    exit_code = 3


class ToolFailed(BuildError):
    """A tool was run and failed; `returncode` is its own exit code."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "", output: str = "", returncode: int = 1) -> None:
        super().__init__(message, hint=hint, output=output)
        self.returncode = returncode


class ScanRejected(BuildError):
    """The scan ran, and its findings reach the severity threshold."""

    exit_code = 5


class SmokeFailed(BuildError):
    """A service is unhealthy or answers wrongly."""

    exit_code = 6


class MissingTool(BuildError):
    """A tool is not installed or too old, or its daemon is not running."""

    exit_code = 7


class ScanBroken(BuildError):
    """The scan could not run: a failure of the gate, not a verdict."""

    exit_code = 8


class BaseUnavailable(BuildError):
    """No source provides the base image."""

    exit_code = 9


class RegistryError(BuildError):
    """The registry is unreachable or refuses; `status` is its HTTP status, 0 without an answer."""

    exit_code = 10
    status = 0


class SecretError(BuildError):
    """A secret file is missing, empty or readable by others."""

    exit_code = 11


class PortTaken(BuildError):
    """Another process listens on a port that is to be published."""

    exit_code = 12


class Incomplete(BuildError):
    """Part of the work is done; the message names the services that failed."""

    exit_code = 13


class ReleaseRefused(BuildError):
    """A release rule is violated; nothing was changed."""

    exit_code = 14


class VersionTaken(BuildError):
    """The version belongs to another release: a lost race, or a burned version."""

    exit_code = 15


class RolledBack(BuildError):
    """A deploy failed, and the target runs the set of before again: every container healthy, by digest.

    `target` is its name, `entry` that of its journal, as it is left.
    """

    exit_code = 16
    target = ""
    entry: Any = None


class Unfinished(BuildError):
    """A deploy failed, and the target runs neither the new set nor the old one whole; more as for RolledBack."""

    exit_code = 17
    target = ""
    entry: Any = None


class DeployRefused(BuildError):
    """A deploy, or a roll back, may not start; nothing was changed at the target."""

    exit_code = 18


class StackTaken(BuildError):
    """The stack, or the registry, belongs to another checkout; nothing was changed."""

    exit_code = 19


class DiskFailed(BuildError):
    """The system refuses to write a file, or to read one of the project's."""

    exit_code = 20


class VerificationFailed(BuildError):
    """A release is not what its record says, or it is not signed by a key that counts."""

    exit_code = 21


_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


def of_disk(error: OSError) -> DiskFailed | None:
    """The failure that the system's error means; None for an error that is not about the disk or the rights on it."""
    place = f"'{error.filename}'" if error.filename else ""
    message = ": ".join(filter(None, [str(error.strerror).lower(), place.strip("'")]))
    if error.errno in _FULL:
        return DiskFailed(message, hint=f"df -h {place or '. /tmp'}   and make room")
    if error.errno in _REFUSED and place:
        return DiskFailed(message, hint=f"ls -ld {place}   must be yours and writable")
    return None
