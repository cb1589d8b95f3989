"""Taking turns on an engine: one build at a time, and one change of a stack, for all checkouts and users of a machine.

BuildKit before 0.19 may end the whole engine when builds run at once (moby/buildkit#5606), and two builds of one
project move each other's tags. An engine on another machine is shared by its id, as far as this machine goes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from build import console
from build.engine import client as docker
from build.errors import ToolFailed
from build.lock import Holder, exclusive, shared_folder

_QUIET_SECONDS = 0.5  # a wait that is shorter gets no line


@contextlib.contextmanager
def building(root: Path) -> Iterator[None]:
    """Build alone on the engine, for the checkout at `root`; wait while another does, and say for whom.

    Raises MissingTool when the engine does not answer, ToolFailed when the lock can't be opened.
    """
    with _turn(f"build-{docker.identity()['id']}", f"the build of {root}"):
        yield


@contextlib.contextmanager
def changing(project: str, root: Path, work: str) -> Iterator[None]:
    """Start or stop the stack of a project alone; `work` names it to those who wait: "the start of the stack".

    Raises as `building` does.
    """
    with _turn(f"stack-{docker.identity()['id']}-{project}", f"{work} from {root}"):
        yield


@contextlib.contextmanager
def _turn(name: str, work: str) -> Iterator[None]:
    path = shared_folder() / f"unity-claude-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    with contextlib.ExitStack() as lock:
        try:
            lock.enter_context(exclusive(path, work, _announce(), shared=True))
        except OSError as error:
            hint = f"look at {path}, and remove it if it is no lock of yours"
            raise ToolFailed(f"the lock {path} can't be opened: {error.strerror}", hint=hint) from None
        yield


def _announce() -> Callable[[Holder, float], None]:
    """Say once for each holder whom this process waits for, on stderr: results on stdout stay whole."""
    announced: set[Holder] = set()

    def waiting(holder: Holder, waited: float) -> None:
        if waited > _QUIET_SECONDS and holder not in announced:
            announced.add(holder)
            console.note(f"waiting for {holder}")

    return waiting
