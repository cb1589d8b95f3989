"""`watch` on the real engine: it rebuilds and restarts what changed, and reports and survives broken builds."""

from __future__ import annotations

import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from build.stack import status
from tests.support.project import Project
from tests.support.stack import DOCKERFILE, SERVER

_SECONDS = 90


class Watching:
    """A running `./inv watch` and the lines it prints."""

    def __init__(self, project: Project) -> None:
        self.process = subprocess.Popen(
            project.command("watch"), cwd=project.root, env=project.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as stream:
            for line in stream:
                self.lines.put(line)

    def until(self, words: str) -> str:
        """Read its output up to a line with these words."""
        seen = ""
        while True:
            line = self.lines.get(timeout=_SECONDS)
            seen += line
            if words in line:
                return seen

    def end(self) -> int:
        """Send Ctrl-C; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def watching(stack_project: Project) -> Iterator[Watching]:
    """A running, watched stack of two services."""
    for arguments in (["build"], ["secrets.init"], ["up"]):
        ran = stack_project.inv(*arguments)
        assert ran.code == 0, ran.text
    watch = Watching(stack_project)
    try:
        watch.until("watching one, two")
        yield watch
    finally:
        if watch.process.poll() is None:
            watch.process.kill()
            watch.process.wait(30)


def _images(project: Project) -> dict[str, str]:
    return {one.name: one.image for one in status.containers(project.load())}


def test_a_changed_file_renews_its_service_alone(stack_project: Project, watching: Watching) -> None:
    """A saved file gives its service a new image and container; the other service keeps running."""
    before = _images(stack_project)

    stack_project.write("docker/one/server.py", SERVER + "# changed\n")
    watching.until("✓ rebuild one")
    after = _images(stack_project)

    assert after["one"] != before["one"]
    assert after["two"] == before["two"]
    assert watching.end() == 130


def test_a_broken_build_is_shown_and_watching_goes_on(stack_project: Project, watching: Watching) -> None:
    """A file that does not build is reported with its reason, the stack stays as it was, and the fixed file is built."""
    before = _images(stack_project)

    stack_project.write("docker/two/Dockerfile", DOCKERFILE + "RUN false\n")
    output = watching.until("error: not built: two")
    during = _images(stack_project)
    stack_project.write("docker/two/Dockerfile", DOCKERFILE + "LABEL fixed=yes\n")
    watching.until("✓ rebuild two")

    assert "Traceback" not in output
    assert during == before
    assert _images(stack_project)["two"] != before["two"]


def test_a_killed_watch_stands_in_nobody_s_way(stack_project: Project, watching: Watching) -> None:
    """`kill -9` in the middle of a rebuild leaves no lock: the next build and the next start end well."""
    stack_project.write("docker/one/Dockerfile", DOCKERFILE.replace("ENTRYPOINT", "RUN sleep 20\nENTRYPOINT"))
    watching.until("» rebuild one")
    watching.process.kill()
    watching.process.wait()
    stack_project.write("docker/one/Dockerfile", DOCKERFILE.replace("ENTRYPOINT", "LABEL next=1\nENTRYPOINT"))

    for task in ("build", "up"):
        ran = stack_project.inv(task)
        assert ran.code == 0, ran.text
        assert not re.search(rf"waiting for .*{re.escape(str(stack_project.root))}", ran.stderr), (
            "others may build meanwhile"
        )
