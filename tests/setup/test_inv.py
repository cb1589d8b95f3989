"""./inv and inv.py in a project of their own, with real Pythons, a real pip and a real invoke, and no network.

Most set-ups here go through a Python without ensurepip, because that way takes one second and the usual one five;
one test takes the usual one.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from tests.setup.inv_project import Project, invoke_files, make_project, python_without_ensurepip, wheel

TOOLS = ["sh", "cat", "cmp", "cp", "env", "find", "grep", "id", "mkdir", "mv", "ps", "readlink", "rm", "rmdir"]
TOOLS += ["sed", "sleep", "tail", "uname", "apt-get"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX script")


@pytest.fixture(scope="module")
def invoke_line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("wheels")
    return folder, wheel(folder, "invoke", invoke_files())


@pytest.fixture
def project(tmp_path: Path, invoke_line: tuple[Path, str]) -> Project:
    """A project that has no .venv yet."""
    return make_project(tmp_path, *invoke_line)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, invoke_line: tuple[Path, str]) -> Project:
    """A project with its .venv, for tests that change neither."""
    project = make_project(tmp_path_factory.mktemp("made"), *invoke_line)
    code, _, err = project.run("show")
    assert code == 0, err
    return project


@pytest.fixture
def silent_index() -> Iterator[str]:
    """The URL of an index that takes requests and never answers, so that a set-up stands still in the middle."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        server.shutdown(socket.SHUT_RDWR)
        for one in taken:
            one.close()


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


@pytest.mark.parametrize("program", [("./inv",), (sys.executable, "inv.py")], ids=["inv", "inv.py"])
def test_a_download_that_breaks_off_is_made_again(project: Project, program: tuple[str, ...]) -> None:
    """One broken download costs a new machine seconds, not its set-up; it is said, and the second is the last."""
    Breaking.broken.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Breaking, directory=str(project.wheels))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project.environment["PIP_FIND_LINKS"] = f"http://127.0.0.1:{server.server_address[1]}/"
        code, out, err = project.run("show", program=program)
        server.shutdown()

    assert (code, f"root={project.root}" in out) == (0, True), err
    assert err.count("a download broke off: once more") == 1
    assert Breaking.broken


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


def test_the_usual_way_makes_a_venv_with_pip(project: Project) -> None:
    """The first call on a Python with ensurepip makes a whole .venv, says so, and runs the task."""
    folder = str(Path(sys.executable).resolve().parent)
    project.environment["PATH"] = f"{folder}:/usr/bin:/bin"
    code, out, err = project.run("show")
    assert (code, f"root={project.root}" in out) == (0, True), err
    assert "making .venv" in err
    assert {"pip", "invoke"} <= project.packages


def test_the_second_call_makes_nothing(made: Project) -> None:
    """Once made, .venv is used as it is, and nothing is printed beside the task's own output."""
    before = (made.root / ".venv/pyvenv.cfg").stat().st_mtime_ns
    assert made.run("show") == (0, f"root={made.root} cwd={made.root} file=\n", "")
    assert (made.root / ".venv/pyvenv.cfg").stat().st_mtime_ns == before


def test_a_made_venv_costs_no_process(made: Project) -> None:
    """Where .venv is current, ./inv turns into invoke itself: no Python or shell stays or runs before it."""
    invoke = made.root / ".venv/bin/invoke"
    script = invoke.read_bytes()
    invoke.write_text("#!/bin/sh\necho $$\n")
    try:
        with subprocess.Popen(["./inv", "show"], cwd=made.root, stdout=subprocess.PIPE, text=True) as process:
            told, _ = process.communicate(timeout=60)
    finally:
        invoke.write_bytes(script)

    assert told.strip() == str(process.pid)


def test_from_another_folder(made: Project, tmp_path: Path) -> None:
    """The tasks are the project's, the working folder stays the caller's: a relative path means what it says."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/note.txt").write_text("hello")
    (tmp_path / "link").symlink_to(made.root / "inv")
    relative = os.path.relpath(made.root / "inv", tmp_path / "elsewhere")
    for program in (relative, str(made.root / "inv"), "../link"):
        code, out, err = made.run("show", "--file", "note.txt", program=(program,), cwd=tmp_path / "elsewhere")
        assert (code, out) == (0, f"root={made.root} cwd={tmp_path / 'elsewhere'} file=hello\n"), err


def test_the_exit_code_is_the_tasks(made: Project) -> None:
    """A script that calls ./inv sees what the task ended with."""
    assert [made.run("leave", "--code", str(code))[0] for code in (0, 7)] == [0, 7]


def test_a_changed_lock_is_installed_and_nothing_else_stays(project: Project) -> None:
    """After requirements.txt changed, .venv holds what it names, and no package that it used to name."""
    line = (project.root / "requirements.txt").read_text()
    project.lock(line, wheel(project.wheels, "first", {"first.py": b""}))
    project.run("show")
    assert "first" in project.packages
    project.lock(line, wheel(project.wheels, "second", {"second.py": b""}))
    code, _, err = project.run("show")
    assert (code, "making .venv" in err) == (0, True)
    assert "second" in project.packages
    assert "first" not in project.packages


@pytest.mark.parametrize("program", [("./inv",), (sys.executable, "inv.py")], ids=["inv", "inv.py"])
def test_a_failed_setup_gives_the_old_venv_back(project: Project, program: tuple[str, ...]) -> None:
    """A wrong hash is refused with exit code 4; with the old lock back, the old .venv works at once."""
    line = (project.root / "requirements.txt").read_text()
    project.run("show", program=program)
    wheel(project.wheels, "forged", {"forged.py": b""})
    project.lock(line, f"forged==1.0 --hash=sha256:{'0' * 64}\n")
    code, _, err = project.run("show", program=program)
    assert code == 4
    assert "HASHES" in err
    assert "error: the packages of requirements.txt could not be installed" in err
    project.lock(line)
    code, _, err = project.run("show", program=program)
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (project.root / ".uc").glob("*")) in (
        ["setup.log"],
        ["setup.locked", "setup.log"],
    )


def test_a_failed_first_setup_leaves_no_venv(project: Project) -> None:
    """Nothing half-made is left where the next call, or an editor, would take it for whole."""
    project.lock(f"absent==1.0 --hash=sha256:{'0' * 64}\n")
    assert project.run("show")[0] == 4
    assert not (project.root / ".venv").exists()


def test_an_interrupt_leaves_no_venv_and_no_lock(project: Project, silent_index: str) -> None:
    """Ctrl-C ends pip too, and the next call starts afresh."""
    process = stand_still(project, silent_index)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert [path.name for path in (project.root / ".uc").iterdir()] == ["setup.log"]
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
    assert [path.name for path in (project.root / ".uc").iterdir()] == ["setup.log"]


def test_a_pip_that_outlives_its_inv_keeps_the_lock(project: Project, silent_index: str) -> None:
    """When only the shell is killed, its pip still writes into .venv: the next call waits until that one is gone."""
    process = stand_still(project, silent_index)
    pip = int((project.root / ".uc/setup.lock/child").read_text())
    process.kill()
    process.wait()
    second = project.start("show")
    assert second.stderr
    said = ""
    while "waiting for it" not in said:
        line = second.stderr.readline()
        assert line, f"it did not wait: {said}"
        said += line
    os.kill(pip, signal.SIGKILL)
    out, err = second.communicate(timeout=60)
    process.communicate(timeout=120)
    assert second.returncode == 0, out + said + err


@pytest.mark.parametrize("program", [("./inv",), (sys.executable, "inv.py")], ids=["inv", "inv.py"])
def test_first_calls_at_once_make_one_venv(project: Project, program: tuple[str, ...]) -> None:
    """Of several first calls one makes .venv, the others wait for it, and all run their task."""
    ends = [
        (process, *process.communicate(timeout=60))
        for process in [project.start("show", program=program) for _ in range(4)]
    ]
    assert [process.returncode for process, _, _ in ends] == [0] * 4, ends
    assert sum(err.count("» making") for _, _, err in ends) == 1
    assert all(f"root={project.root}" in out for _, out, _ in ends)


def test_a_moved_project_makes_its_own_venv(made: Project, tmp_path: Path) -> None:
    """A copy of the folder must not run the packages of the folder that it was copied from."""
    copy = tmp_path / "copy"
    shutil.copytree(made.root, copy, symlinks=True)
    code, _, err = made.run("show", program=(str(copy / "inv"),))
    assert (code, "making .venv" in err) == (0, True)
    assert str(copy) in (copy / ".venv/bin/invoke").read_text()


def only_tools(folder: Path) -> Path:
    folder.mkdir()
    for name in TOOLS:
        if path := shutil.which(name, path="/usr/bin:/bin"):
            (folder / name).symlink_to(path)
    return folder


def test_without_python_it_says_what_to_install(project: Project, tmp_path: Path) -> None:
    """No Python, or only an old one: exit code 7, and the command that mends it."""
    tools = only_tools(tmp_path / "tools")
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    project.environment["PATH"] = str(tools)
    code, _, err = project.run("show")
    assert code == 7
    assert "error: Python 3.11 or newer is needed, and none is on PATH" in err
    assert ("sudo apt-get install python3-venv" in err) == bool(shutil.which("apt-get"))


def test_without_the_venv_module_it_says_which_package(project: Project, tmp_path: Path) -> None:
    """Debian's Python has no ensurepip until python3-venv is installed, and often no pip either."""
    tools = only_tools(tmp_path / "tools")
    python_without_ensurepip(tools)
    script = (tools / "python3.14").read_text().replace("*ensurepip*)", "*pip*)")
    (tools / "python3.14").write_text(script)
    project.environment["PATH"] = str(tools)
    code, _, err = project.run("show")
    assert code == 7
    assert f"{tools}/python3.14 can't make a virtual environment" in err
    assert ("sudo apt-get install python3-venv" in err) == bool(shutil.which("apt-get"))
