"""The triage graph that ships with the project: what a change is worth, who is asked, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph_harness import new_thread, state_of
from triage_rig import FINISHED, LOG_ERROR, Stack

pytestmark = pytest.mark.anyio


async def test_a_harmless_change_is_discussed_without_asking(stack: Stack) -> None:
    """An ordinary file: its folder is summarised, the team consulted, and the result is the team's."""
    values = await stack.run("Assets/Data/readme.txt", "added")

    (_, invoked, _, call), (_, consulted, _, chat) = stack.powershell.requests[0], stack.autogen.requests[0]
    expected = {
        "module": "Unity-Claude-FileTree",
        "command": "Get-FileTreeSummary",
        "parameters": {"Path": "Assets/Data"},
    }
    assert ("/invoke", expected) == (invoked, call)
    assert (consulted, chat["wait"]) == ("/groupchat", True)
    assert "Assets/Data/readme.txt" in chat["task"]
    assert {"event", "summary", "risk", "approval", "discussion", "result"} == set(values)
    assert (values["risk"], values["approval"], values["summary"]["tree"]) == ("low", None, {"Files": 3})
    assert values["result"] == {"status": "done", "text": "Mend A.cs"}


async def test_a_log_without_errors_is_no_risk(stack: Stack) -> None:
    """Warnings alone ask nobody; the log itself is what the modules read."""
    stack.compile_log({**LOG_ERROR, "severity": "warning"})

    values = await stack.run("Logs/Editor.log")

    call = stack.powershell.requests[0][3]
    assert (call["command"], call["parameters"]) == ("ConvertFrom-UnityCompileLog", {"Path": "Logs/Editor.log"})
    assert (values["risk"], values["summary"]["errors"], values["summary"]["warnings"]) == ("low", 0, 1)
    assert values["result"]["status"] == "done"


@pytest.mark.parametrize(
    ("path", "kind", "records"),
    [
        ("Logs/Editor.log", "modified", [LOG_ERROR]),
        ("Assets/a.txt", "deleted", []),
        ("Logs/Editor.log", "deleted", []),
        ("Tools/run.PS1", "added", []),
        ("Tools/m.psm1", "modified", []),
        ("Tools/m.psd1", "modified", []),
    ],
)
async def test_a_risky_change_waits_for_a_person(
    stack: Stack, path: str, kind: str, records: list[dict[str, Any]]
) -> None:
    """Compile errors, deletions and PowerShell scripts stop at a question that shows the event and its summary."""
    stack.compile_log(*records)

    values = await stack.run(path, kind)

    asked = values["__interrupt__"][0]["value"]
    assert {"question", "event", "summary"} == set(asked)
    assert (path, len(records)) == (asked["event"]["path"], asked["summary"]["errors"])
    assert (values["risk"], stack.autogen.requests) == ("high", [])


@pytest.mark.parametrize(("approved", "status", "consulted"), [(True, "done", 1), (False, "rejected", 0)])
async def test_the_answer_decides(stack: Stack, approved: bool, status: str, consulted: int) -> None:
    """Approved goes on to the team, rejected ends; who said so is kept. An answer that says neither is asked again."""
    async with stack.server.client() as client:
        thread = await new_thread(client)
        await stack.run("Tools/run.ps1", thread=thread)
        again = state_of(await client.runs.wait(thread, "triage", command={"resume": "perhaps"}))
        values = state_of(
            await client.runs.wait(thread, "triage", command={"resume": {"approved": approved, "by": "ada"}})
        )

    assert "expected" in again["__interrupt__"][0]["value"]["error"]
    assert {"approved": approved, "by": "ada"} == values["approval"]
    assert (status, consulted) == (values["result"]["status"], len(stack.autogen.requests))


async def test_a_second_event_on_a_thread_starts_afresh(stack: Stack) -> None:
    """Nothing of an earlier event is left in the next one's result."""
    async with stack.server.client() as client:
        thread = await new_thread(client)
        await stack.run("Tools/run.ps1", thread=thread)
        await client.runs.wait(thread, "triage", command={"resume": {"approved": False, "by": "ada"}})

        values = await stack.run("a.txt", thread=thread)

    assert (values["approval"], values["risk"], values["result"]["status"]) == (None, "low", "done")


async def test_a_deleted_folder_is_summarised_from_the_root(stack: Stack) -> None:
    """When the deleted file's folder is gone too, the tree it was in is what is shown."""
    gone = {"ok": False, "errors": ["path not found"]}
    there = {"ok": True, "result": [{"Files": 9}], "errors": []}
    stack.powershell.answer = lambda path, body: (200, there if body["parameters"]["Path"] == "." else gone)

    values = await stack.run("gone/a.txt", "deleted")

    assert (values["summary"]["tree"], values["summary"]["path"]) == ({"Files": 9}, ".")


async def test_a_long_discussion_is_followed_to_its_end(stack: Stack) -> None:
    """A team that answers 202 is asked again until it has finished; one that failed is a failed result."""
    stack.autogen.answer = lambda path, body: (
        (202, {"session_id": "s1", "status": "running"}) if path == "/groupchat" else (200, FINISHED)
    )
    finished = await stack.run("a.txt")
    stack.autogen.answer = lambda path, body: (200, {**FINISHED, "status": "failed", "error": "no model"})
    failed = await stack.run("a.txt")

    assert finished["result"] == {"status": "done", "text": "Mend A.cs"}
    assert (failed["result"]["status"], "no model" in failed["result"]["text"]) == ("failed", True)


async def test_each_run_has_a_chat_of_its_own(stack: Stack) -> None:
    """An event that is looked at again is discussed again."""
    async with stack.server.client() as client:
        thread = await new_thread(client)
        for _ in range(2):
            await stack.run("a.txt", thread=thread)

    assert len({chat["session_id"] for _, _, _, chat in stack.autogen.requests}) == 2


async def test_an_event_without_a_path_is_reported(stack: Stack) -> None:
    """Input that is no event is a failed result, not a crash, and nobody is called."""
    values = await stack.run(None)

    assert values["result"] == {"status": "failed", "text": "event: expected an object with a path"}
    assert stack.powershell.requests == []
