"""Folders as a deployment mounts them, a target on loopback, and the service as a real process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest imports test files by path here, so their folder has to be put on the path for the module they share.
sys.path.insert(0, str(Path(__file__).parent))

from monitor_rig import Monitor, Rules, Start, Target, furnish


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folders that a deployment mounts."""
    furnish(tmp_path)
    return tmp_path


@pytest.fixture
def workspace(home: Path) -> Path:
    return home / "workspace"


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Start the service, wait until it is healthy; at the end every line it logged must have been JSON."""
    started: list[Monitor] = []

    def begin(wrapper: tuple[str, ...] = (), *, wait: bool = True, **env: str) -> Monitor:
        monitor = Monitor(home, env, list(wrapper))
        started.append(monitor)
        return monitor.wait_healthy() if wait else monitor

    yield begin
    for monitor in started:
        monitor.close()


@pytest.fixture
def rules(home: Path, target: Target) -> Rules:
    """Write the triggers file: one trigger `hook` that tells the target everything, with these keys changed."""

    def write(*, glob: str = "**", debounce: float = 0.05, target_keys: str = "", trigger_keys: str = "") -> None:
        (home / "config" / "triggers.toml").write_text(
            f'[targets.hook]\nurl = "{target.url}"\n{target_keys}\n'
            f'[[triggers]]\nname = "hook"\nglob = "{glob}"\ndebounce = {debounce}\ntarget = "hook"\n{trigger_keys}\n'
        )

    write()
    return write
