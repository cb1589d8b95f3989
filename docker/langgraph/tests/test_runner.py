"""The runner by itself, over tables that fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from langgraph_service.events import EventLog
from langgraph_service.job import Job
from langgraph_service.runner import Runner
from langgraph_service.state import State

pytestmark = pytest.mark.anyio


def _ended(run_id: str) -> Job:
    run = {"run_id": run_id, "thread_id": f"thread of {run_id}", "request_id": "r", "kwargs": {"temporary": True}}
    return Job(run=run, graph="probe", log=EventLog(resumable=False), status="success")


async def test_ends_that_could_not_be_recorded_are_recorded_one_by_one() -> None:
    """One that fails again keeps its place and holds up no other; one that is added meanwhile is not lost."""
    recorded: list[str] = []

    class Runs:
        async def finish(self, run_id: str, _status: str) -> None:
            if run_id == "never":
                raise ValueError("a value that no table holds")
            if run_id == "first":
                runner._unrecorded.append(_ended("meanwhile"))
            recorded.append(run_id)

    state: Any = SimpleNamespace(settings=SimpleNamespace(max_running=1), runs=Runs())
    runner = Runner(cast("State", state))
    runner._unrecorded += [_ended("never"), _ended("first"), _ended("second")]

    await runner.record_again()
    assert recorded == ["first", "second"]
    await runner.record_again()

    assert recorded == ["first", "second", "meanwhile"]
    assert [job.run_id for job in runner._unrecorded] == ["never"]
