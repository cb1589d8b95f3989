"""Which process a pid file stands for: real processes under the names that matter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from build.engine import daemon

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a process of that name which ends when its input does."""

    def started(name: str) -> subprocess.Popen[bytes]:
        shutil.copy2(shutil.which("cat") or "", tmp_path / name)
        return subprocess.Popen([str(tmp_path / name)], stdin=subprocess.PIPE)

    return started


@pytest.mark.parametrize(
    ("name", "runs"), [("dockerd", True), ("containerd", True), ("another", False), ("my (dockerd) R", False)]
)
def test_only_a_process_of_dockers_counts(tmp_path: Path, start: Start, name: str, runs: bool) -> None:
    """Another program may have the pid of a daemon that was killed."""
    with start(name) as process:
        (tmp_path / "pid").write_text(f"{process.pid}\n")
        assert daemon._runs(tmp_path / "pid") == runs
        process.communicate()


def test_a_zombie_runs_no_more(tmp_path: Path, start: Start) -> None:
    """In a container whose first process collects nobody, a killed containerd keeps its pid and its name."""
    process = start("containerd")
    (tmp_path / "pid").write_text(str(process.pid))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{process.pid}").exists()
    assert not daemon._runs(tmp_path / "pid")
    process.communicate()


@pytest.mark.parametrize("content", ["", "many\n", "999999999"])
def test_a_pid_file_that_names_nothing(tmp_path: Path, content: str) -> None:
    """An empty file, one of another kind, one of a process that is gone: none of them runs."""
    (tmp_path / "pid").write_text(content)
    assert not daemon._runs(tmp_path / "pid")
    assert not daemon._runs(tmp_path / "absent")
