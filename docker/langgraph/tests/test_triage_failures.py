"""The triage's peers when they fail, hang, are away or are replaced: waited for, or named in the result."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from langgraph_harness import Server
from triage_rig import Answer, Stack

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, {"error": "unauthorized"}), "refused the token (401)"),
        ((500, {"detail": "out of runspaces"}), "answered 500: out of runspaces"),
        ((200, b"<html>"), "not JSON"),
        ((200, ["a list"]), "not an object"),
        ((200, {"ok": False, "errors": ["no such file"]}), "ConvertFrom-UnityCompileLog failed: no such file"),
        ((200, {"ok": False, "errors": [{"message": "no such file"}]}), "failed: no such file"),
    ],
)
async def test_what_a_peer_does_wrong_is_the_result(stack: Stack, answer: Answer, reason: str) -> None:
    """A peer's failure ends in a result that names the peer and the reason, and the run itself succeeds."""
    stack.powershell.answer = lambda path, body: answer

    values = await stack.run("Logs/Editor.log")

    assert values["result"]["status"] == "failed"
    assert values["result"]["text"].startswith("powershell-modules")
    assert reason in values["result"]["text"]


async def test_a_peer_that_hangs_is_left_at_the_deadline(stack: Stack) -> None:
    """A peer that takes longer than its deadline fails the triage in time."""

    def slowly(_path: str, _body: Any) -> Answer:
        time.sleep(2.5)
        return 200, {}

    stack.powershell.answer = slowly

    values = await stack.run("a.txt")

    assert "did not answer within 1 s" in values["result"]["text"]


async def test_peers_that_are_replaced_are_waited_for(tmp_path: Path, server_kind: type[Server]) -> None:
    """A peer that starts, hangs up on a chat, or is away for seconds is asked again."""
    stack = Stack(tmp_path / "service", server_kind, seconds=("60", "120"))
    stack.reset()
    invoked, chat = stack.powershell.answer, stack.autogen.answer
    running = {"session_id": "s1", "status": "running"}
    starting, opened, asked = [(503, {"error": "starting"})], [(200, None), (202, running)], threading.Event()
    stack.powershell.answer = lambda path, body: starting.pop() if starting else invoked(path, body)

    def answer(path: str, body: Any) -> Answer:
        if path != "/groupchat":
            return chat(path, body)
        if len(opened) == 1:
            asked.set()
        return opened.pop(0)

    stack.autogen.answer = answer
    try:
        triage = asyncio.create_task(stack.run("a.txt"))
        assert await asyncio.to_thread(asked.wait, 60)
        stack.autogen.close()
        await asyncio.sleep(2)
        stack.autogen.reopen()
        values = await triage
    finally:
        stack.server.stop()
        stack.powershell.close()
        stack.autogen.close()

    assert values["result"] == {"status": "done", "text": "Mend A.cs"}
    assert [path for _, path, _, _ in stack.powershell.requests] == ["/invoke"] * 2
    assert [path for _, path, _, _ in stack.autogen.requests] == ["/groupchat", "/groupchat", "/groupchat/s1"]


async def test_a_call_that_may_have_been_made_is_not_made_again(stack: Stack) -> None:
    """A command that the modules hang up on is not invoked a second time."""
    stack.powershell.answer = lambda path, body: (200, None)

    values = await stack.run("a.txt")

    assert values["result"]["status"] == "failed"
    assert len(stack.powershell.requests) == 1


async def test_a_peer_that_is_down_is_the_result(tmp_path: Path, server_kind: type[Server]) -> None:
    """A service that is not there, or a token that is missing, fails the triage by name."""
    stack = Stack(tmp_path / "service", server_kind)
    stack.reset()
    try:
        stack.autogen.close()
        down = (await stack.run("a.txt"))["result"]
        (tmp_path / "service" / "powershell_token").unlink()
        tokenless = (await stack.run("a.txt"))["result"]
    finally:
        stack.server.stop()
        stack.powershell.close()

    assert (down["status"], tokenless["status"]) == ("failed", "failed")
    assert down["text"].startswith("autogen-groupchat is down")
    assert "the secret powershell_token is missing" in tokenless["text"]
