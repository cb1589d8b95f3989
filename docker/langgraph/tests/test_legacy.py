"""The routes of the project's first servers: there with LEGACY_API=true, and not otherwise."""

from __future__ import annotations

import uuid

import httpx
import pytest
from langgraph_harness import Server, StartServer

pytestmark = pytest.mark.anyio

OLD = ["/", "/graphs", "/agents", "/state/snapshots", "/approval/pending", "/threads"]


@pytest.mark.usefixtures("own_server")
@pytest.mark.parametrize("path", OLD)
async def test_s9_without_the_setting_the_old_routes_are_not_there(http: httpx.AsyncClient, path: str) -> None:
    """They are somebody else's interface: nobody gets them without asking."""
    assert (await http.get(path)).status_code in {404, 405}


@pytest.fixture
def old(start: StartServer) -> Server:
    """A server with the old routes."""
    return start(LEGACY_API="true")


async def test_s9_the_old_routes_answer_as_they_did(old: Server) -> None:
    """Graphs, threads, states, approvals, messages: the keys that the first clients read, and only two without a key."""
    session = uuid.uuid4().hex
    async with httpx.AsyncClient(base_url=old.url) as anyone, old.http() as http:
        open_to_all = {
            path: (await anyone.get(path)).status_code for path in ("/", "/openapi.json", "/graphs", "/threads")
        }
        root = (await anyone.get("/")).json()
        graphs = (await http.get("/graphs")).json()
        one = (await http.get("/graphs/gate")).json()
        nobody = await http.get("/graphs/absent")
        given = {"graph_id": "gate", "initial_state": {"subject": "s"}, "thread_id": "mine"}
        asked = (await http.post("/graphs/gate/execute", json=given)).json()
        threads = (await http.get("/threads")).json()
        answer = {"graph_id": "gate", "thread_id": "mine", "resume_value": {"approved": True}}
        resumed = (await http.post("/graphs/gate/resume", json=answer)).json()
        again = await http.post("/graphs/gate/resume", json=answer)
        failed = await http.post("/graphs/probe/execute", json={"initial_state": {"fail": True}})
        sent = (await http.post("/messages", json={"session_id": session, "sender": "a", "message": "hello"})).json()
        shown = (await http.get(f"/messages/{session}")).json()["messages"]
        kept = {"session_id": session, "agent_name": "analyst", "state_data": {"step": 2}}
        updated = (await http.post("/state", json=kept)).json()
        recalled = (await http.get(f"/state/{session}/analyst")).json()
        agents = (await http.get("/agents")).json()["agents"]
        flow = {"workflow_name": "probe", "parameters": {"text": "w", "log": []}, "session_id": session}
        started = (await http.post("/workflow", json=flow)).json()
        joined = await http.get(f"/threads/{started['thread_id']}/runs/{started['run_id']}/join")

    assert open_to_all == {"/": 200, "/openapi.json": 200, "/graphs": 401, "/threads": 401}
    assert (root["status"], root["active_graphs"]) == ("running", graphs["total"])
    assert graphs["graphs"]["gate"].keys() == {"type", "created_at", "config"}
    assert (one["graph_id"], one["status"], nobody.status_code) == ("gate", "active", 404)
    assert (asked["status"], asked["thread_id"], asked["next_nodes"], asked["pending_tasks"]) == (
        "interrupted",
        "mine",
        ["ask"],
        1,
    )
    assert [thread["status"] for thread in threads["threads"].values()] == ["interrupted"]
    assert (resumed["status"], resumed["result"]["subject"]) == ("completed", "s: closed")
    assert (again.status_code, failed.status_code, failed.json()["detail"]) == (400, 500, "asked to fail")
    assert (sent["status"], shown[0]["message"], updated["status"]) == ("sent", "hello", "updated")
    assert (recalled["state"], joined.json()["log"]) == ({"step": 2}, ["first w", "second w"])
    assert ("probe", "active") in {(agent["name"], agent["status"]) for agent in agents}


async def test_s9_states_and_approvals_are_kept(old: Server) -> None:
    """A state is checked by its type, laid over the last one, found again; an approval is asked, raised, decided."""
    basic = {"messages": [], "counter": 1}
    named = {"graph_id": "gate", "thread_id": "t"}
    async with old.http() as http:
        valid = await http.post("/state/validate", json={"state_data": basic, "state_type": "basic", **named})
        lacks = await http.post("/state/validate", json={"state_data": {}, "state_type": "hitl", **named})
        await http.post("/state/process", json={"state_data": basic, "state_type": "basic", **named})
        merged = await http.post("/state/synchronize", json={"current_state": {"counter": 2}, **named})
        snapshots = (await http.get("/state/snapshots", params={"graph_id": "gate"})).json()
        newest = (await http.get(f"/state/snapshots/{snapshots['snapshots'][0]['state_id']}")).json()
        figures = (await http.get("/state/statistics")).json()["statistics"]
        prepared = (await http.post("/state/prepare-for-powershell", json={"a": 1})).json()
        wish = {"workflow_id": "w", "title": "t", "description": "d"}
        asked = (await http.post("/approval/request", json=wish)).json()
        waiting = (await http.get("/approval/pending")).json()
        path = f"/approval/{asked['approval_id']}"
        raised = (await http.post(f"{path}/escalate")).json()
        decided = (await http.post(f"{path}/respond", json={"approved": True, "approved_by": "ada"})).json()
        status = (await http.get(path)).json()
        after = (await http.get("/approval/pending")).json()
        interrupted = (await http.post("/workflow/w2/interrupt", json=wish)).json()
        unknown = await http.get(f"/approval/{uuid.uuid4()}")

    assert (valid.json()["valid"], lacks.status_code) == (True, 400)
    assert "approval_needed" in lacks.json()["detail"]
    assert merged.json()["synchronized_state"] == newest["state_data"] == {"messages": [], "counter": 2}
    assert (snapshots["total"], figures["total_snapshots"], prepared["powershell_state"]) == (2, 2, {"a": 1})
    assert (asked["status"], waiting["count"], raised["escalation_level"], after["count"]) == ("created", 1, 1, 0)
    assert (decided["decision"], status["status"], status["approved_by"]) == (True, "approved", "ada")
    assert (interrupted["approval_data"]["workflow_id"], unknown.status_code) == ("w2", 404)
