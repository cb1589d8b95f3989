"""Every parameter that the SDKs send, with values that mean something and values that mean nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from golden_rig import NO_THREAD, Calls, compared, sent
from langgraph_harness import new_thread
from langgraph_sdk.client import LangGraphClient

# What a run's body may carry, one at a time beside the assistant and an input.
RUN: dict[str, Any] = {
    "stream_mode": ["values", [], ["values", "updates"], "tools", "lifecycle", "zzz", ["values", "zzz"], None, 1],
    "stream_modes": ["zzz"],
    "stream_subgraphs": [True, "yes", 3, None],
    "stream_resumable": [True, None, 3],
    "checkpoint_during": [True, False, None, "zzz"],
    "durability": ["sync", "async", "exit", "zzz", None],
    "interrupt_before": ["*", ["second"], [], "second", ["absent"], 1, None],
    "interrupt_after": ["*", ["second"], "zzz"],
    "multitask_strategy": ["reject", "enqueue", "zzz", None],
    "if_not_exists": ["create", "reject", "zzz", None],
    "on_completion": ["delete", "keep", "zzz"],
    "on_disconnect": ["cancel", "continue", "zzz"],
    "after_seconds": [0, 1, -1, "1", "x", None, 0.5],
    "webhook": [None, "", "not a url", "http://127.0.0.1:9/hook"],
    "feedback_keys": [["a"], "a", None],
    "langsmith_tracer": [{"project_name": "p"}, None, "x"],
    "strict_resume": [True, False, "x"],
    "checkpoint": [None, {}, {"checkpoint_id": NO_THREAD}, {"thread_id": NO_THREAD}, "x"],
    "checkpoint_id": [None, NO_THREAD, "x"],
    "config": [None, {}, "x", {"recursion_limit": -1}, {"configurable": None}, {"metadata": {"a": 1}}],
    "context": [None, {}, "x", [1]],
    "metadata": [None, {}, {"a": 1}, "x"],
    "command": [None, {}, {"resume": 1}, {"update": {"text": "u"}}, {"goto": "second"}, {"goto": "absent"}, {"zzz": 1}],
    "input": [None, {}, [], "text", 1, {"absent": 1}],
    "assistant_id": [None, "", "absent", 1, NO_THREAD],
    "zzz": [1],
}


def _bodies(name: str) -> dict[str, Any]:
    return {f"{name}={value!r}": value for value in RUN[name]}


async def _thread(client: LangGraphClient) -> str:
    try:
        return await new_thread(client)
    except httpx.TransportError:  # the official server closes a connection after some requests that it can't answer
        return await new_thread(client)


def _of(name: str, *, stateless: bool, route: str) -> Calls:
    async def calls(client: LangGraphClient) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for label, value in _bodies(name).items():
            thread = "" if stateless else f"/threads/{await _thread(client)}"
            body = {"assistant_id": "probe", "input": {"text": "a", "log": []}, name: value}
            if name == "command":
                del body["input"]
            out[label] = await sent(client, "POST", f"{thread}/runs/{route}", body)
        return out

    return calls


SCENARIOS: dict[str, Calls] = (
    {f"wait {name}": _of(name, stateless=False, route="wait") for name in RUN}
    | {f"stateless {name}": _of(name, stateless=True, route="wait") for name in RUN}
    | {
        f"stream {name}": _of(name, stateless=False, route="stream")
        for name in ("stream_mode", "stream_modes", "input")
    }
)
# Where our answers differ, and why.
AGREED = {
    r".*=None\.(status: 422 there, 200 here|answer: missing|status: 200 there, 422 here)": (
        "null counts as not given where a parameter has no other meaning for it, and is refused where it has none at all"
    ),
    r"stateless .*\.(answer: missing|status: 200 there, 422 here)": (
        "what a run on a thread is refused for is refused without one, too"
    ),
    r"wait (on_completion|after_seconds)\..*(answer: missing|status: 200 there, 422 here)": (
        "a value that means nothing is refused"
    ),
    r".*feedback_keys=\['a'\]\.(answer: missing|status: 200 there, 422 here)": (
        "they need LangSmith: refused, where the official server fails the run"
    ),
    r".*langsmith_tracer='x'\.status: 500 there": "the official server fails",
    r".*command=\{'zzz': 1\}\.answer\.__error__": "an internal error there; here the run has no input",
    r".*command=\{'(resume|update)'.*\}\.answer\.__error__\.message": "an internal error there",
    r".*durability='sync'\.answer\.__error__: missing": "an internal error there; here it has no checkpoint to wait for",
    r".*assistant_id='<id>'\.status: 404 there, 422 here": "an unknown assistant, named by an id or not",
    r".*checkpoint='x'\.status: 400 there, 422 here": "refused either way",
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_p8_parameters_mean_what_they_mean_there(name: str, client: LangGraphClient) -> None:
    """A parameter is answered as by the official server, or refused as there; none is ignored that is not there."""
    assert await compared(client, "parameters", name, SCENARIOS[name], AGREED) == []
