"""What the process before left unfinished: continued from its checkpoints, or marked as lost."""

from __future__ import annotations

from ucservice import logs

from langgraph_service import metrics
from langgraph_service.runner import Runner

_log = logs.get("runner")


async def recover(runner: Runner) -> None:
    """Take over what the process before left: go on from the checkpoint, or mark it as failed."""
    settings, state = runner.state.settings, runner.state
    for run in await state.runs.unfinished():
        graph = next((name for name in state.graphs.loaded if state.assistant(name) == run["assistant_id"]), None)
        if graph is None or not settings.resume_on_start or run["attempt"] >= settings.max_attempts:
            reason = "its graph is not loaded" if graph is None else f"attempt {run['attempt']} was the last"
            await state.lost(run, reason if settings.resume_on_start else "it is not resumed automatically")
            continue
        if run["attempt"] and await state.checkpoints.has_run(run["thread_id"], run["run_id"]):
            run["kwargs"] |= {"input": None, "command": None, "checkpoint": None}
        job = runner.admit(run, graph)
        job.recorded.set()
        metrics.RESUMED.inc()
        _log.info("run_resumed", attempt=run["attempt"] + 1, **job.named)
    for thread_id in await state.busy_threads():
        if not runner.active(thread_id):
            await state.refresh(thread_id)
