"""A task as a monitored process: its output lines, its current step, and its end by `kill -9`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.project import Project, Ran
from tests.support.steps import step_of

_LOOK_SECONDS = 5.0


class Running:
    """A running task whose output is read line by line."""

    def __init__(self, project: Project, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.times: list[tuple[float, str]] = []
        self.stdout = ""
        self.started = time.monotonic()
        self._watch: tuple[str, Callable[[], object], bool] | None = None
        self._watching = threading.Lock()
        self._holds = False
        self.process = subprocess.Popen(
            project.command(*arguments),
            cwd=project.root,
            env=project.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._read_stderr, self._read_stdout)]
        for thread in self._threads:
            thread.start()

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            text = line.rstrip("\n")
            self.times.append((time.monotonic() - self.started, text))
            self.lines.append(text)
            self._look_at(text)

    def _look_at(self, line: str) -> None:
        with self._watching:  # the line may have been printed while `when` was called
            if not self._watch or not line.startswith(self._watch[0]):
                return
            (_, act, held), self._watch = self._watch, None
            self._holds = held
        if held:
            os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            act()
        finally:
            if held:
                os.killpg(self.process.pid, signal.SIGCONT)
                self._holds = False
                self._continue()

    def _continue(self) -> None:
        """Continue what is stopped: a child that SIGSTOP met as it left the group gets no SIGCONT of the group's."""
        for pid in (self.process.pid, *_descendants(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _read_stdout(self) -> None:
        assert self.process.stdout is not None
        self.stdout = self.process.stdout.read()

    def when(self, start: str, act: Callable[[], object], *, held: bool = False) -> Running:
        """Run an action as soon as a line with this start is printed; if `held`, the task waits until it is done."""
        self._watch = (start, act, held)
        for line in list(self.lines):
            self._look_at(line)
        return self

    def kill(self, *, children: bool = False) -> None:
        """`kill -9` the process group; with `children` also the sessions below it, as when a container ends."""
        below = _descendants(self.process.pid) if children else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self, timeout: float = 240) -> Ran:
        """Wait for its end; return its exit code and output."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(_LOOK_SECONDS)
                self._close()
                return Ran(code, self.stdout, "\n".join(self.lines) + "\n")
            if not self._holds:
                self._continue()
        below = _shown([self.process.pid, *_descendants(self.process.pid)])
        self.kill(children=True)
        self.process.wait()
        self._close()
        raise AssertionError("\n".join(["it hangs:", *self.lines, *below]))

    def _close(self) -> None:
        for thread in self._threads:
            thread.join(20)
        for stream in (self.process.stderr, self.process.stdout):
            assert stream is not None
            stream.close()

    @property
    def step(self) -> str:
        """The key of the step that started last."""
        return next(filter(None, map(step_of, reversed(self.lines))), "start")


def _shown(pids: list[int]) -> list[str]:
    """The state and the command line of each process that is there."""
    lines = []
    for pid in pids:
        with contextlib.suppress(OSError):
            state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
            command = (
                (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
            lines.append(f"{pid} {state} {command}")
    return lines


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(folder.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found
