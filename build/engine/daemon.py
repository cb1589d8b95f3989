"""The Docker daemon's process: started where no init system does it, past what a killed one left behind."""

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

_PID_FILE_SECONDS = 20  # soon written, also by a cold dockerd; one that has none by then has ended without these words
_LAST_WORDS = ("failed to start daemon", "unable to configure the Docker daemon")


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """One Docker daemon: how it is reached, what it is started with, and the files that it leaves."""

    host: str = ""
    arguments: tuple[str, ...] = ()
    pid_files: tuple[Path, ...] = (Path("/run/docker.pid"), Path("/run/docker/containerd/containerd.pid"))
    log: Path = Path("/var/log/dockerd-unity-claude.log")


def start(one: Daemon, *, sudo: Sequence[str] = (), seconds: float = 60) -> None:
    """Start the daemon unless it answers, and wait until it does.

    Raises MissingTool with the end of its log when it does not answer after `seconds`.
    """
    if _answers(one):
        return
    logged = len(_text(one.log))
    if one == Daemon() and Path("/run/systemd/system").is_dir():
        with console.waiting("starting docker.service"):
            run([*sudo, "systemctl", "start", "docker"], timeout=120, hint="journalctl -u docker -n 50")
    elif not _runs(one.pid_files[0]):
        for path in one.pid_files:
            if path.exists() and not _runs(path):
                console.note(f"removing {path}: its process is not Docker's (any more)")
                run([*sudo, "rm", "-f", str(path)])
        # A constant script: only a shell can send the output of a process that outlives this one to a file of root's.
        script = 'log=$1; shift; exec "$@" >>"$log" 2>&1 </dev/null'
        program = "dockerd" if shutil.which("dockerd") else "/usr/sbin/dockerd"
        run([*sudo, "setsid", "--fork", "sh", "-c", script, "sh", str(one.log), program, *one.arguments])
    began = time.monotonic()
    with console.waiting("waiting for the Docker daemon"):
        while not _answers(one):
            log = _text(one.log)[logged:]
            waited = time.monotonic() - began
            said = any(words in log for words in _LAST_WORDS)
            ended = not _runs(one.pid_files[0]) and (said or waited > _PID_FILE_SECONDS)
            if ended or waited > seconds:
                raise MissingTool("the Docker daemon did not start", hint=f"less {one.log}", output=log[-3000:])
            time.sleep(0.2)


def _answers(one: Daemon) -> bool:
    host = ("--host", one.host) if one.host else ()
    try:
        return bool(docker.cli(*host, "info", "--format", "{{.ServerVersion}}", timeout=20).stdout.strip())
    except MissingTool as error:
        return "refuses this user" in str(error)  # it runs; who may use it is another matter
    except ToolFailed:
        return False


def _runs(pid_file: Path) -> bool:
    """Whether the process of a pid file is a dockerd or containerd: after a crash its pid may be another program's.

    A zombie is no process any more, though dockerd takes one for a containerd that still runs.
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
