"""Values that JSON has no word for, or no room for, through every route that shows values."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from golden_rig import Calls, collect, compared, normalised, sent
from langgraph_harness import PLUGINS, new_thread
from langgraph_sdk.client import LangGraphClient

sys.path.insert(0, str(PLUGINS))
from odd_graph import MAKERS


async def _safe(call: Any) -> Any:
    try:
        return normalised(await call)
    except Exception as error:  # noqa: BLE001 - that a client can't read the answer is an answer here
        return {"client": type(error).__name__}


def _of(kind: str) -> Calls:
    async def calls(client: LangGraphClient) -> dict[str, Any]:
        thread, given = await new_thread(client), {"kind": kind}
        out: dict[str, Any] = {"wait": await _safe(client.runs.wait(thread, "odd", input=given, raise_error=False))}
        out["stream"] = await _safe(
            collect(client.runs.stream(thread, "odd", input=given, stream_mode=["updates", "custom"]))
        )
        out["thread"] = await _safe(client.threads.get(thread))
        out["state"] = await _safe(client.threads.get_state(thread))
        return {
            **out,
            "runs": [run["status"] for run in await client.runs.list(thread)],
        }

    return calls


async def bodies(client: LangGraphClient) -> dict[str, Any]:
    """Numbers as they come in: in an input, in metadata, in the store."""
    thread, big = await new_thread(client), 2**70
    out: dict[str, Any] = {}
    out["input"] = await sent(
        client, "POST", f"/threads/{thread}/runs/wait", {"assistant_id": "odd", "input": {"kind": "nul", "value": big}}
    )
    out["metadata"] = await sent(client, "POST", "/threads/count", {"metadata": {"n": big}})
    out["store"] = await sent(client, "PUT", "/store/items", {"namespace": ["n"], "key": "k", "value": {"n": big}})
    return out


SCENARIOS: dict[str, Calls] = {kind: _of(kind) for kind in MAKERS} | {"bodies": bodies}
# Where our answers differ, and why.
AGREED = {
    r"(int65\w*|int_negative|tuple_keys)\.(state|thread)\.client: missing": (
        "the official server can't answer such a state at all; here it shows the value as text"
    ),
    r"int65_key\.wait\.__error__\.message": "the same refusal, by the checkpoint and not by the answer",
    r"(decimal\w*|date|timedelta|pattern)\.state\.values\.value": (
        "as in its own wait and stream; there the state shows how the checkpoint has taken the value apart"
    ),
    r"(path|complex|object)\.": (
        "checkpoints here hold data only: a value that they can't hold fails the run, and is no null"
    ),
    r"exception\.thread\.values\.value": "as in its state: a checkpoint holds an exception as text",
    r"(nul|bodies\.input)\.": "the official server's database has no NUL; here it is kept",
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_p7_values_are_written_as_by_the_official_server(name: str, client: LangGraphClient) -> None:
    """A value that can't be written is an error with its reason, never an answer that is cut off."""
    assert await compared(client, "values", name, SCENARIOS[name], AGREED) == []
