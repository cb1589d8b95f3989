"""summarise -> decide -> approve -> consult -> conclude."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import PurePosixPath
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from triage.peers import AUTOGEN, POWERSHELL, PeerError, call

SCRIPTS = (".ps1", ".psm1", ".psd1")
SHOWN_RECORDS = 50
SHOWN_MESSAGES = 50
POLL_SECONDS = 0.5
MAX_TASK = 16_000

Json = dict[str, Any]


class Triage(TypedDict, total=False):
    """What is known of one change."""

    event: Json
    summary: Json | None
    risk: Literal["low", "high"] | None
    approval: Json | None
    discussion: Json | None
    result: Json | None


def _seconds(name: str, default: float) -> float:
    return float(os.environ.get(name, default))


def _failed(reason: object) -> Json:
    return {"result": {"status": "failed", "text": str(reason)}}


async def _invoke(module: str, command: str, parameters: Json) -> list[Any]:
    body = {"module": module, "command": command, "parameters": parameters}
    seconds = _seconds("TRIAGE_INVOKE_SECONDS", 20)
    answer = await call(POWERSHELL, "POST", "/invoke", body, seconds=seconds)
    if not answer.get("ok"):
        errors = answer.get("errors") or ["no reason given"]
        told = [str(item.get("message", item) if isinstance(item, dict) else item) for item in errors]
        raise PeerError(f"{POWERSHELL.name}: {command} failed: {'; '.join(told)[:500]}")
    result = answer.get("result")
    return result if isinstance(result, list) else [result]


async def _compile_log(path: str) -> Json:
    records = await _invoke("Unity-Claude-CompileLog", "ConvertFrom-UnityCompileLog", {"Path": path})
    found = [record for record in records if isinstance(record, dict)]
    errors = [record for record in found if str(record.get("severity")).lower() == "error"]
    warnings = [record for record in found if str(record.get("severity")).lower() == "warning"]
    shown = (errors + warnings)[:SHOWN_RECORDS]
    return {"kind": "compile-log", "path": path, "errors": len(errors), "warnings": len(warnings), "records": shown}


async def _file_tree(folder: str) -> Json:
    result = await _invoke("Unity-Claude-FileTree", "Get-FileTreeSummary", {"Path": folder})
    return {"kind": "file-tree", "path": folder, "errors": 0, "tree": result[0] if len(result) == 1 else result}


async def _folder_of(path: str, *, deleted: bool) -> Json:
    folder = str(PurePosixPath(path).parent)
    try:
        return await _file_tree(folder)
    except PeerError:
        # The folder may be gone together with the file: then the tree it was in says what is left.
        if not deleted or folder == ".":
            raise
        return await _file_tree(".")


async def summarise(state: Triage) -> Json:
    """Ask the PowerShell modules what the file says: a compile log its errors, any other file its folder."""
    fresh: Json = {"summary": None, "risk": None, "approval": None, "discussion": None, "result": None}
    event = state.get("event")
    path = event.get("path") if isinstance(event, dict) else None
    if not isinstance(event, dict) or not isinstance(path, str) or not path:
        return fresh | _failed("event: expected an object with a path")
    deleted = event.get("kind") == "deleted"
    try:
        if path.lower().endswith(".log") and not deleted:
            summary = await _compile_log(path)
        else:
            summary = await _folder_of(path.replace("\\", "/"), deleted=deleted)
    except PeerError as error:
        return fresh | _failed(error)
    return fresh | {"summary": summary}


async def decide(state: Triage) -> Json:
    """High risk: compile errors, a deletion, or a PowerShell script."""
    event, summary = state["event"], state.get("summary") or {}
    risky = summary.get("errors", 0) > 0 or event.get("kind") == "deleted" or event["path"].lower().endswith(SCRIPTS)
    return {"risk": "high" if risky else "low"}


def _understood(answer: Any) -> Json | None:
    if isinstance(answer, bool):
        return {"approved": answer, "by": "unknown"}
    if isinstance(answer, dict) and isinstance(answer.get("approved"), bool):
        return {**answer, "by": str(answer.get("by") or "unknown")}
    return None


async def approve(state: Triage) -> Json:
    """Ask a person, and again if the answer does not say yes or no."""
    event = state["event"]
    question: Json = {
        "question": f"{event['path']} was {event.get('kind', 'changed')}: discuss it and go on?",
        "event": event,
        "summary": state.get("summary"),
    }
    while (approval := _understood(interrupt(question))) is None:
        question = {**question, "error": 'expected {"approved": true or false, "by": "name"}'}
    return {"approval": approval}


async def _settled(answer: Json, deadline: float) -> Json:
    while answer.get("status") == "running":
        if time.monotonic() >= deadline:
            raise PeerError(f"{AUTOGEN.name}: session {answer.get('session_id')} still runs at the deadline")
        await asyncio.sleep(POLL_SECONDS)
        left = max(deadline - time.monotonic(), 1)
        answer = await call(AUTOGEN, "GET", f"/groupchat/{answer['session_id']}", seconds=left, repeatable=True)
    if answer.get("status") in {"failed", "cancelled"}:
        reason = answer.get("error") or answer.get("stop_reason")
        raise PeerError(f"{AUTOGEN.name}: the chat {answer['status']}: {reason}")
    return answer


def _discussion(answer: Json) -> Json:
    messages = answer.get("messages")
    return {
        "session_id": answer.get("session_id"),
        "status": answer.get("status"),
        "result": answer.get("result"),
        "stop_reason": answer.get("stop_reason"),
        "messages": messages[-SHOWN_MESSAGES:] if isinstance(messages, list) else [],
    }


def _task(facts: Json, summary: Json) -> str:
    """The facts as JSON, which the team reads; without the long parts when they are too long for a chat."""
    short = {key: value for key, value in summary.items() if key not in {"records", "tree"}}
    few = {**short, "records": summary.get("records", [])[:10]}
    for shown in (summary, few, short):
        text = json.dumps({**facts, "summary": shown}, ensure_ascii=False, default=str)
        if len(text) <= MAX_TASK:
            break
    return f"A file of the project changed. Say what to do about it.\n{text[:MAX_TASK]}"


def _session(task: str, config: RunnableConfig) -> Json:
    """The chat's id: this run's, for this task. A run that is taken over asks again and finds the chat it began."""
    run_id = config.get("configurable", {}).get("run_id")
    if run_id is None:
        return {}
    # A run without checkpoints starts over, and the summary may say something else by then: that is another chat.
    return {"session_id": f"triage-{run_id}-{hashlib.sha256(task.encode()).hexdigest()[:12]}"}


async def consult(state: Triage, config: RunnableConfig) -> Json:
    """Let the team of agents discuss the change."""
    task = _task({"event": state["event"], "risk": state.get("risk")}, state.get("summary") or {})
    seconds = _seconds("TRIAGE_CONSULT_SECONDS", 90)
    deadline = time.monotonic() + seconds
    try:
        asked = {"task": task, "wait": True, **_session(task, config)}
        # The same id finds the same chat, so it is safe to ask again.
        answer = await call(AUTOGEN, "POST", "/groupchat", asked, seconds=seconds, repeatable="session_id" in asked)
        return {"discussion": _discussion(await _settled(answer, deadline))}
    except PeerError as error:
        return _failed(error)


async def conclude(state: Triage) -> Json:
    """Sum up: failed, rejected or done."""
    if state.get("result"):
        return {}
    approval = state.get("approval")
    if approval and not approval["approved"]:
        return {"result": {"status": "rejected", "text": f"{approval['by']} rejected it"}}
    discussion = state.get("discussion") or {}
    return {"result": {"status": "done", "text": str(discussion.get("result") or "")}}


def _after_summary(state: Triage) -> str:
    return "conclude" if state.get("result") else "decide"


def _after_decision(state: Triage) -> str:
    return "approve" if state.get("risk") == "high" else "consult"


def _after_approval(state: Triage) -> str:
    approval = state.get("approval")
    return "consult" if approval and approval["approved"] else "conclude"


def build() -> StateGraph[Triage, None, Triage, Triage]:
    """The graph, not yet compiled: the service gives it its checkpoints."""
    graph = StateGraph(Triage)
    for node in (summarise, decide, approve, consult, conclude):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "summarise")
    graph.add_conditional_edges("summarise", _after_summary, ["decide", "conclude"])
    graph.add_conditional_edges("decide", _after_decision, ["approve", "consult"])
    graph.add_conditional_edges("approve", _after_approval, ["consult", "conclude"])
    graph.add_edge("consult", "conclude")
    graph.add_edge("conclude", END)
    return graph
