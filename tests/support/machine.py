"""What this machine lets a test do, and what becomes of a test that lacks it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

# A child that is root in its own namespaces alone: it may mount, and lower limits, for itself.
OWN_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount")


def lacking(reason: str) -> NoReturn:
    """Skip the test on a developer's machine, fail it in CI, where nothing is skipped silently."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def own_namespaces() -> tuple[str, ...]:
    """The command prefix to run as root in new namespaces; calls `lacking` if that is forbidden."""
    if subprocess.run([*OWN_NAMESPACES, "true"], check=False, capture_output=True).returncode:
        lacking("needs user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)")
    return OWN_NAMESPACES


def as_root() -> list[str]:
    """The command prefix to run as root; calls `lacking` without passwordless sudo."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo") or subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode:
        lacking("needs root, or sudo without a password")
    return ["sudo", "-n"]


@contextlib.contextmanager
def without_privilege() -> Iterator[None]:
    """If this process is root, run the block as another user: root may read and write everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextlib.contextmanager
def shut(path: Path) -> Iterator[None]:
    """Make a file or folder inaccessible to this process: no permissions, and root becomes another user meanwhile."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with without_privilege():
            yield
    finally:
        path.chmod(mode)
