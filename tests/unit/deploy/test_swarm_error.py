"""Why a service of a swarm does not run: what the task says that is to run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from build.deploy.targets.swarm.observed import _error
from build.deploy.targets.swarm.tasks import Task

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _task(desired: str, error: str, seconds: int) -> Task:
    return Task(
        id=error,
        state="pending",
        desired=desired,
        error=error,
        image="",
        node="",
        slot=1,
        since=_BEGAN + timedelta(seconds=seconds),
        has_container=False,
        is_own=True,
    )


def test_a_task_that_has_ended_later_does_not_hide_why_another_waits() -> None:
    """A swarm may note an error of a task that was shut down after the next one has found no node."""
    waiting, ended = _task("running", "no suitable node", 1), _task("shutdown", "error while removing network", 2)

    assert _error({}, [ended, waiting]) == "no suitable node"
    assert _error({}, [ended]) == "error while removing network"
    assert _error({"UpdateStatus": {"State": "paused", "Message": "m"}}, []) == "update paused: m"
