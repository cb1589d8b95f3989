"""Where the tests get their PowerShell from, and the service that most of them share."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from psserver import SHIPPED, Service, running, write_module
from pstrees import PROBE, PROBE_EXPORTS


def _unavailable(reason: str) -> None:
    excused = "powershell" in os.environ.get("UC_BASES_UNAVAILABLE", "").replace(",", " ").split()
    if os.environ.get("CI") == "true" and not excused:
        pytest.fail(f"{reason} (CI=true: this may not be skipped; UC_BASES_UNAVAILABLE=powershell excuses it)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def pwsh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pwsh: UC_PWSH, else the one on PATH, else the archive in UC_PWSH_ARCHIVE unpacked for this session."""
    if found := os.environ.get("UC_PWSH") or shutil.which("pwsh"):
        yield found
        return
    archive = os.environ.get("UC_PWSH_ARCHIVE")
    if not archive:
        _unavailable("no PowerShell: set UC_PWSH or UC_PWSH_ARCHIVE, or put pwsh on PATH")
    place = tmp_path_factory.mktemp("pwsh")
    with tarfile.open(str(archive)) as packed:
        if hasattr(tarfile, "tar_filter"):
            packed.extractall(place, filter="tar")
        else:  # Python 3.11.2, which is Debian 12's own, has no filters yet.
            packed.extractall(place)
    yield str(place / "usr/share/powershell/pwsh")
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def service(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on a tree of the shipped modules and a module Probe, with short time limits; no test may break it."""
    folder = tmp_path_factory.mktemp("service")
    tree = folder / "Modules"
    shutil.copytree(SHIPPED, tree)
    write_module(tree, "Probe", PROBE, manifest=PROBE_EXPORTS)
    limits = {"UC_CALL_TIMEOUT_SECONDS": 4, "UC_BODY_TIMEOUT_SECONDS": 1, "UC_LOG_LEVEL": "debug"}
    with running(pwsh, tree, folder, ["Probe", "Unity-Claude-CompileLog"], **limits) as started:
        yield started
