"""Ctrl-C where the machine keeps the toolkit waiting: a docker client that never answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def silent_docker(tmp_path: Path) -> Path:
    """A folder for PATH whose docker hangs; the pid of each call that waits is a line of the file `calls` in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name) or "")
    (folder / "docker").write_text(f"#!/bin/sh\nsleep 0.5\necho $$ >>'{folder}/calls'\nexec sleep 600\n")
    (folder / "docker").chmod(0o755)
    return folder


def _runs(pid: str) -> bool:
    """Whether a process does; one that nobody has collected has no command line."""
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


@pytest.mark.parametrize(("task", "calls"), [("bases", 2), ("doctor", 1)])
def test_ctrl_c_ends_a_task_that_waits_for_docker(project: Project, silent_docker: Path, task: str, calls: int) -> None:
    """An interrupt ends the task with 130 long before its lookups would give up, and their processes with it."""
    project.append('\n[bases.images.second]\nreference = "debian:trixie"\n')
    environment = project.environment(PATH=str(silent_docker))
    log = silent_docker / "calls"
    with subprocess.Popen(
        project.command(task), cwd=project.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 30
        while not log.exists() or len(log.read_text().splitlines()) < calls:
            assert time.monotonic() < deadline, "docker was not asked"
            time.sleep(0.02)
        interrupted = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=90)

    assert (process.returncode, "Traceback" in output) == (130, False), output
    assert time.monotonic() - interrupted < 10
    while left := [pid for pid in log.read_text().split() if _runs(pid)]:
        assert time.monotonic() - interrupted < 20, f"{left} run on"
        time.sleep(0.02)
