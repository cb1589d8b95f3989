"""Set-ups by ./inv and inv.py that fail, break off, are killed, or are made twice at once: nothing half-made is kept."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from tests.setup.inv_project import Project, wheel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX script")


@pytest.fixture
def project(pip_project: Project) -> Project:
    """A project that has no .venv yet."""
    return pip_project


class Breaking(http.server.SimpleHTTPRequestHandler):
    """Serves wheels; the first half of the first one is all that its client gets."""

    broken: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        file = Path(self.translate_path(self.path))
        if file.suffix != ".whl" or self.broken:
            super().do_GET()
            return
        self.broken.append(self.path)
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def log_message(self, format: str, *args: object) -> None:
        """The test looks at what broke off."""


def test_a_download_that_breaks_off_is_made_again(uv_project: Project) -> None:
    """One broken download costs a new machine seconds, not its set-up; it is said, and the second is the last."""
    project = uv_project
    Breaking.broken.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Breaking, directory=str(project.wheels))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project.environment["PIP_FIND_LINKS"] = f"http://127.0.0.1:{server.server_address[1]}/"
        code, out, err = project.run("show")
        server.shutdown()

    assert (code, f"root={project.root}" in out) == (0, True), err
    assert err.count("a download broke off: once more") == 1
    assert Breaking.broken


def test_a_failed_setup_gives_the_old_venv_back(uv_project: Project) -> None:
    """A wrong hash is refused with exit code 4; with the old lock back, the old .venv works at once."""
    project = uv_project
    line = (project.root / "requirements.txt").read_text()
    project.run("show")
    wheel(project.wheels, "forged", {"forged.py": b""})
    project.lock(line, f"forged==1.0 --hash=sha256:{'0' * 64}\n")
    code, _, err = project.run("show")
    assert code == 4
    assert "HASHES" in err
    assert "error: the packages of requirements.txt could not be installed" in err
    project.lock(line)
    code, _, err = project.run("show")
    assert (code, err) == (0, "")
    assert left(project) == ["setup.locked", "setup.log"]


def left(project: Project) -> list[str]:
    """What a set-up has left in .uc."""
    return sorted(path.name for path in (project.root / ".uc").iterdir())


def test_a_failed_first_setup_leaves_no_venv(uv_project: Project) -> None:
    """Nothing half-made is left where the next call, or an editor, would take it for whole."""
    uv_project.lock((uv_project.root / "requirements.txt").read_text(), f"absent==1.0 --hash=sha256:{'0' * 64}\n")
    assert uv_project.run("show")[0] == 4
    assert not (uv_project.root / ".venv").exists()


def stand_still(project: Project, index: str) -> subprocess.Popen[str]:
    """Start a set-up that gets as far as pip, and no further."""
    environment, project.environment = project.environment, {**project.environment, "PIP_INDEX_URL": index}
    project.environment.pop("PIP_NO_INDEX")
    process = project.start("show")
    project.environment = environment
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if "Looking in" in (project.root / ".uc/setup.log").read_text():
                return process
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def test_an_interrupt_leaves_no_venv_and_no_lock(project: Project, silent_index: str) -> None:
    """Ctrl-C ends pip too, and the next call starts afresh."""
    process = stand_still(project, silent_index)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert left(project) == ["setup.locked", "setup.log"]
    assert not (project.root / ".venv").exists()
    assert project.run("show")[0] == 0


def test_a_killed_setup_is_made_again(project: Project, silent_index: str) -> None:
    """After kill -9 of everything, the next call finds the lock abandoned and the .venv unfinished."""
    process = stand_still(project, silent_index)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    assert (project.root / ".venv").exists()
    code, out, err = project.run("show")
    assert (code, f"root={project.root}" in out) == (0, True), err
    assert left(project) == ["setup.locked", "setup.log"]


def test_a_pip_that_outlives_its_inv_keeps_the_lock(project: Project, silent_index: str) -> None:
    """When only ./inv is killed, its pip still writes into .venv: the next call waits until that one is gone."""
    process = stand_still(project, silent_index)
    pip = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    process.kill()
    process.wait()
    second = project.start("show")
    assert second.stderr
    said = ""
    while "waiting for the set-up" not in said:
        line = second.stderr.readline()
        assert line, f"it did not wait: {said}"
        said += line
    os.kill(pip, signal.SIGKILL)
    out, err = second.communicate(timeout=60)
    process.communicate(timeout=120)
    assert second.returncode == 0, out + said + err


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["term", "hup"])
def test_a_signal_ends_the_setup_and_its_pip(project: Project, silent_index: str, sign: int, code: int) -> None:
    """What a service manager, or a terminal that is closed, sends to ./inv alone ends its pip, too."""
    process = stand_still(project, silent_index)
    pip = Path(f"/proc/{Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().strip()}")
    os.kill(process.pid, sign)
    process.communicate(timeout=120)
    assert process.returncode == code
    assert not pip.exists()
    assert not (project.root / ".venv").exists()


def test_first_calls_at_once_make_one_venv(uv_project: Project) -> None:
    """Of several first calls one makes .venv, the others wait for it, and all run their task."""
    project = uv_project
    ends = [(process, *process.communicate(timeout=60)) for process in [project.start("show") for _ in range(4)]]
    assert [process.returncode for process, _, _ in ends] == [0] * 4, ends
    assert sum(err.count("» making") for _, _, err in ends) == 1
    assert all(f"root={project.root}" in out for _, out, _ in ends)
