"""The Docker daemon's process: started where no init system does it, despite the files that a killed one left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.engine import client as docker
from build.errors import MissingTool, ToolFailed
from build.process import run
from build.waiting import waiting

_PID_FILE_SECONDS = 20  # dockerd writes its pid file soon, even a cold one; a daemon without it by then has exited
_FATAL = ("failed to start daemon", "unable to configure the Docker daemon")


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A Docker daemon: its address, its arguments, its pid files (its own first) and its log."""

    host: str = ""
    arguments: tuple[str, ...] = ()
    pid_files: tuple[Path, ...] = (Path("/run/docker.pid"), Path("/run/docker/containerd/containerd.pid"))
    log: Path = Path("/var/log/dockerd-unity-claude.log")


def start(daemon: Daemon, *, sudo: Sequence[str] = (), seconds: float = 60) -> None:
    """Start the daemon unless it answers, and wait until it does.

    Raises MissingTool with the end of its log when it exits, or does not answer within `seconds`.
    """
    if _answers(daemon):
        return
    logged = len(_text(daemon.log))
    if daemon == Daemon() and Path("/run/systemd/system").is_dir():
        with waiting("starting docker.service"):
            run([*sudo, "systemctl", "start", "docker"], timeout=120, hint="journalctl -u docker -n 50")
    elif not _runs(daemon.pid_files[0]):
        _start_process(daemon, sudo)
    _wait(daemon, logged, seconds)


def _start_process(daemon: Daemon, sudo: Sequence[str]) -> None:
    for path in daemon.pid_files:
        if path.exists() and not _runs(path):
            console.note(f"removing {path}: its process is not Docker's (any more)")
            run([*sudo, "rm", "-f", str(path)])
    # A constant script: only a shell can redirect the output of a process that outlives this one to a file of root's.
    script = 'log=$1; shift; exec "$@" >>"$log" 2>&1 </dev/null'
    program = "dockerd" if shutil.which("dockerd") else "/usr/sbin/dockerd"
    run([*sudo, "setsid", "--fork", "sh", "-c", script, "sh", str(daemon.log), program, *daemon.arguments])


def _wait(daemon: Daemon, logged: int, seconds: float) -> None:
    """Wait until the daemon answers; `logged` is where the log of this start begins. Raises MissingTool."""
    began = time.monotonic()
    with waiting("waiting for the Docker daemon"):
        while not _answers(daemon):
            log = _text(daemon.log)[logged:]
            waited = time.monotonic() - began
            failed = any(words in log for words in _FATAL) or waited > _PID_FILE_SECONDS
            if waited > seconds or (failed and not _runs(daemon.pid_files[0])):
                raise MissingTool("the Docker daemon did not start", hint=f"less {daemon.log}", output=log[-3000:])
            time.sleep(0.2)


def _answers(daemon: Daemon) -> bool:
    host = ("--host", daemon.host) if daemon.host else ()
    try:
        return bool(docker.cli(*host, "info", "--format", "{{.ServerVersion}}", timeout=20).stdout.strip())
    except MissingTool as error:
        return "refuses this user" in str(error)  # it runs; who may use it is another matter
    except ToolFailed:
        return False


def _runs(pid_file: Path) -> bool:
    """Whether the process of a pid file is dockerd or containerd: after a crash another program may have its pid.

    A zombie does not run, although dockerd takes one for a running containerd.
    """
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        name, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").partition("(")[2].rpartition(") ")
    except (OSError, ValueError):
        return False
    return name in {"dockerd", "containerd"} and not rest.startswith("Z")


def _text(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
