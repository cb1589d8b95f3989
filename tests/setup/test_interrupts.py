"""Ctrl-C and timeouts while the toolkit waits for something: no process is left behind."""

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

from build import process
from build.errors import ToolFailed
from tests.support.project import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def silent_docker(tmp_path: Path) -> Path:
    """A folder for PATH with a docker that hangs; its file `calls` has the pid of each waiting call."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name) or "")
    (folder / "docker").write_text(f"#!/bin/sh\nsleep 0.5\necho $$ >>'{folder}/calls'\nexec sleep 600\n")
    (folder / "docker").chmod(0o755)
    return folder


def _runs(pid: str) -> bool:
    """Whether the process is running. By its state: a zombie has no command line, and neither has who calls exec."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


def _calls(log: Path, number: int, task: subprocess.Popen[str]) -> list[str]:
    """The pids of so many waiting calls, once their lines are whole; without them the task is ended."""
    deadline = time.monotonic() + 30
    while not log.exists() or log.read_text().count("\n") < number:
        if time.monotonic() > deadline:
            task.kill()
            pytest.fail(f"docker was not asked {number} times")
        time.sleep(0.02)
    return log.read_text().split()


def _all_end(pids: list[str], since: float) -> None:
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() - since < 20, f"{left} run on"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("task", "calls", "sent", "code"),
    [
        ("bases", 2, signal.SIGINT, 130), ("doctor", 1, signal.SIGINT, 130), ("bases", 2, signal.SIGTERM, 143),
        ("doctor", 1, signal.SIGHUP, 129),
    ],
)  # fmt: skip
def test_e8_a_signal_ends_a_task_that_waits_for_docker(
    project: Project, silent_docker: Path, task: str, calls: int, sent: signal.Signals, code: int
) -> None:
    """Ctrl-C, SIGTERM and SIGHUP end the task and its processes, long before its lookups would time out."""
    project.append('\n[bases.images.second]\nreference = "debian:trixie"\n')
    environment = project.environment(PATH=str(silent_docker))
    log = silent_docker / "calls"
    with subprocess.Popen(
        project.command(task), cwd=project.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as task_process:  # fmt: skip
        _calls(log, calls, task_process)
        interrupted = time.monotonic()
        os.kill(task_process.pid, sent)
        output, _ = task_process.communicate(timeout=90)

    assert (task_process.returncode, "Traceback" in output) == (code, False), output
    assert ("interrupted" if sent == signal.SIGINT else f"interrupted by {sent.name}") in output
    assert time.monotonic() - interrupted < 10
    _all_end(log.read_text().split(), interrupted)


BAKE = """
import sys; from pathlib import Path; from build import interrupts; from build.engine import client; from build.images import bake
folder = Path(sys.argv[1]); client.docker = lambda: str(folder / "docker")
with interrupts.as_interrupts():
    bake.run(folder / "bake.json", ["x"], metadata=folder / "metadata.json", log=folder / "log")
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_e8_bake_does_not_outlive_the_task(silent_docker: Path, sent: signal.Signals) -> None:
    """Whatever ends the task, even SIGKILL: the program that bakes ends too."""
    log = silent_docker / "calls"
    argv = [sys.executable, "-c", BAKE, str(silent_docker)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as task:
        (pid,) = _calls(log, 1, task)
        runs, interrupted = _runs(pid), time.monotonic()
        task.send_signal(sent)
        task.communicate(timeout=30)

    assert runs
    _all_end([pid], interrupted)


def _ended(program: str, *arguments: str) -> tuple[int, str, str]:
    """How a Python program ended: its exit code and both streams."""
    argv = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


STARTS = {
    "run": "process.run([str(program)])",
    "bake": "bake.run(program, ['x'], metadata=program.with_name('metadata'), log=program.with_name('log'), progress='quiet')",
    "installer": "Installer(python=program, workspace=workspace)._run([str(program)], {})",
}
START = """
import os, signal, sys; from pathlib import Path
from build import interrupts, process
from build.config.workspace import Workspace
from build.engine import client
from build.images import bake
from build.machine.installer import Installer
program, workspace = Path(sys.argv[1]), Workspace(Path(sys.argv[1]).parent)
client.docker = lambda: str(program)
workspace.setup_log.touch()
for turn in range(8):
    try:
        with interrupts.as_interrupts():
            {start}
    except KeyboardInterrupt:
        left = Path(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children").read_text().split()
        for pid in left:
            os.kill(int(pid), signal.SIGKILL)
        assert not left, f"turn {{turn}}: {{left}} run on"
"""


@pytest.mark.parametrize("start", list(STARTS))
@pytest.mark.parametrize("sent", ["INT", "TERM"])
def test_e8_a_program_that_is_just_being_started_is_stopped_too(tmp_path: Path, sent: str, start: str) -> None:
    """A signal may come before the process that was forked is in anybody's hands: it ends all the same."""
    program = tmp_path / "program"
    # Once more, for one that comes between Python's last look for signals and a read that blocks.
    program.write_text(f"#!/bin/sh\nkill -{sent} $PPID\nsleep 1\nkill -{sent} $PPID\nexec sleep 600\n")
    program.chmod(0o755)
    assert _ended(START.format(start=STARTS[start]), str(program)) == (0, "", "")


def test_e8_a_signal_that_comes_when_popen_has_just_taken_its_lock_stops_the_process_too() -> None:
    """Between the lock and the `try` that gives it back there is room for an exception of a signal."""
    program = (
        "import subprocess, sys; from build import interrupts\n"
        "def stop(process):\n    process.kill()\n    process.wait(20)\n    print('stopped')\n"
        "try:\n    with interrupts.started(lambda: subprocess.Popen(['sleep', '600']), stop) as process:\n"
        "        process._waitpid_lock.acquire()\n        raise KeyboardInterrupt\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    assert _ended(program) == (0, "stopped\ninterrupted\n", "")


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_e8_a_signal_within_a_start_waits_for_the_process(sent: str) -> None:
    """What has been started and not been returned yet is stopped by what stops it later, too."""
    program = (
        "import os, signal, subprocess; from build import interrupts\n"
        "def start():\n    null = subprocess.DEVNULL\n    process = subprocess.Popen(['sleep', '600'], stdout=null, stderr=null)\n"
        f"    os.kill(os.getpid(), signal.{sent})\n    return process\n"
        "def stop(process):\n    process.kill()\n    print('stopped')\n"
        "try:\n    with interrupts.as_interrupts(), interrupts.started(start, stop):\n        print('runs')\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    assert _ended(program) == (0, "stopped\ninterrupted\n", "")


def test_e8_a_signal_that_waited_comes_before_what_failed() -> None:
    """When the start itself fails after the signal came, the task has been interrupted."""
    program = (
        "import os, signal; from build import interrupts\n"
        "def start():\n    os.kill(os.getpid(), signal.SIGTERM)\n    raise OSError('no such program')\n"
        "try:\n    with interrupts.as_interrupts(), interrupts.started(start, print):\n        pass\n"
        "except interrupts.Ended as ended:\n    print(ended, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    )
    assert _ended(program) == (0, "SIGTERM True\n", "")


def test_e8_a_second_signal_does_not_cut_the_cleaning_up() -> None:
    """Who cancels a job sends SIGTERM more than once: what the first one began is finished."""
    program = (
        "import os, signal, time; from build import interrupts\n"
        "try:\n    with interrupts.as_interrupts():\n        try:\n            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            time.sleep(60)\n"
        "        finally:\n            os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGHUP)\n"
        "            print('tidied up')\n"
        "except KeyboardInterrupt as interrupt:\n    raise SystemExit(interrupts.exit_code(interrupt))\n"
    )
    assert _ended(program) == (143, "tidied up\n", "")


def test_e8_a_signal_that_is_ignored_stays_so() -> None:
    """Under nohup a task goes on when its terminal is closed."""
    program = (
        "import os, signal; from build import interrupts\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with interrupts.as_interrupts():\n    os.kill(os.getpid(), signal.SIGHUP)\n    print('goes on')\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
    )
    assert _ended(program) == (0, "goes on\n", "")


def test_a_timeout_ends_the_child_and_its_children() -> None:
    """After the timeout no process of the child's group is left."""
    seconds = f"61.{os.getpid()}"
    program = f"import subprocess; subprocess.Popen(['sleep', '{seconds}']).wait()"
    with pytest.raises(ToolFailed, match=r"timed out after 1 s"):
        process.run([sys.executable, "-c", program], timeout=1)

    _all_gone(f"sleep\0{seconds}")


@pytest.mark.parametrize("last", ["hang()", "time.sleep(60)", "None"])
def test_an_interrupt_ends_what_runs_together(last: str) -> None:
    """Ctrl-C does not wait for threads, whatever the main thread is doing, and leaves no process behind."""
    seconds = f"60.{os.getpid()}"
    program = (
        "import time; from build import parallel, process\n"
        # Recognised by its long sleep: by then its parent is waiting.
        f"hang = lambda: process.run(['sh', '-c', 'sleep 0.5; exec sleep {seconds}'])\n"
        f"parallel.together([hang, lambda: parallel.together([hang, hang]), lambda: time.sleep(60), lambda: {last}])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 20
        while _command_lines().count(f"sleep\0{seconds}") < 3 + (last == "hang()"):
            assert time.monotonic() < deadline, "not all of them were started"
            time.sleep(0.02)
        interrupted = time.monotonic()
        child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=90)[1]
        took = time.monotonic() - interrupted

    assert errors.strip().endswith("KeyboardInterrupt")
    assert took < 20
    _all_gone(f"sleep\0{seconds}")


def test_an_interrupt_ends_checks_and_journey(project: Project) -> None:
    """Ctrl-C does not wait for the checks that are still retrying, and lets a journey clean up."""
    project.append('\n[[services.web.smoke]]\nname = "check"\ndeadline_seconds = 60\npath = "/"\n')
    program = (
        "import os, time; from pathlib import Path; from build.config import load; from build.gates.smoke import checks\n"
        "def journey(manifest):\n"
        "    try:\n        print('on the way', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('tidied up', flush=True)\n"
        f"checks.run(load.load(Path({str(project.root)!r}), os.environ), ['web'], {{'web': 'http://127.0.0.1:9'}}, str, journeys=[journey])\n"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as checks:
        assert checks.stdout
        assert checks.stdout.readline() == "on the way\n"
        interrupted = time.monotonic()
        checks.send_signal(signal.SIGINT)
        output, errors = checks.communicate(timeout=90)

    assert time.monotonic() - interrupted < 20
    assert (output, errors.splitlines()[-1]) == ("tidied up\n", "KeyboardInterrupt")


def _command_lines() -> str:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(entry.read_text())
    return "\n".join(lines)


def _all_gone(command: str) -> None:
    deadline = time.monotonic() + 20
    while command in _command_lines():
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.02)
