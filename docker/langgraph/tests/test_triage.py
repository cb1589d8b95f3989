"""The triage graph that ships with the project, against peers that listen on real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langgraph_harness import AGENTS, Server, new_thread, until

pytestmark = pytest.mark.anyio

Answer = tuple[int, Any]
LOG_ERROR = {"file": "A.cs", "line": 3, "column": 5, "severity": "error", "code": "CS0103", "message": "no such name"}
FINISHED = {"session_id": "s1", "status": "finished", "messages": [], "result": "Mend A.cs", "stop_reason": "APPROVED"}


class Peer:
    """A small HTTP server: `answer` says what it answers (None: it hangs up), `requests` what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.answer: Callable[[str, Any], Answer] = lambda path, body: (404, {"detail": "nothing here"})
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def _respond(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {key.lower(): value for key, value in self.headers.items()}
                peer.requests.append((self.command, self.path, headers, body))
                status, content = peer.answer(self.path, body)
                if content is None:
                    return
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(sent)))
                if status == 503:
                    self.send_header("retry-after", "1")
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = _respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                """The tests read `requests`."""

        self._handler = Handler
        self.open(0)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def open(self, port: int) -> None:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def reopen(self) -> None:
        """Listen again where it listened before."""
        self.open(int(self.url.rpartition(":")[2]))


class Stack:
    """The service with the shipped graph, and its two peers."""

    def __init__(self, folder: Path, server_kind: type[Server], *, seconds: tuple[str, str] = ("1", "2")) -> None:
        self.powershell, self.autogen = Peer(), Peer()
        folder.mkdir(parents=True, exist_ok=True)
        self.token = folder / "autogen_token"
        self.token.write_text("token-of-autogen\n")
        (folder / "powershell_token").write_text("token-of-powershell\n")
        self.server = server_kind(
            folder,
            AGENTS,
            POWERSHELL_URL=self.powershell.url,
            AUTOGEN_URL=self.autogen.url,
            POWERSHELL_TOKEN_FILE=str(folder / "powershell_token"),
            AUTOGEN_TOKEN_FILE=str(self.token),
            TRIAGE_INVOKE_SECONDS=seconds[0],
            TRIAGE_CONSULT_SECONDS=seconds[1],
        )

    def reset(self) -> None:
        """Peers that answer as they should."""
        for peer in (self.powershell, self.autogen):
            peer.requests.clear()
        self.powershell.answer = lambda path, body: (200, {"ok": True, "result": [{"Files": 3}], "errors": [], "ms": 1})
        self.autogen.answer = lambda path, body: (200, FINISHED)

    def compile_log(self, *records: dict[str, Any]) -> None:
        """Let the modules find these records in the log."""
        self.powershell.answer = lambda path, body: (200, {"ok": True, "result": [*records], "errors": [], "ms": 1})

    async def run(self, path: Any, kind: str = "modified", thread: str | None = None) -> dict[str, Any]:
        """Triage one change."""
        event = {"id": uuid.uuid4().hex, "path": path, "kind": kind, "at": "2026-01-01T00:00:00Z"}
        async with self.server.client() as client:
            values = await client.runs.wait(thread, "triage", input={"event": event})
        assert isinstance(values, dict)
        return values


@pytest.fixture(scope="module")
def _stack(tmp_path_factory: pytest.TempPathFactory, server_kind: type[Server]) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("triage") / "service", server_kind)
    yield stack
    stack.server.stop()
    stack.powershell.close()
    stack.autogen.close()


@pytest.fixture
def stack(_stack: Stack) -> Stack:
    """The shared stack, with peers that answer as they should."""
    _stack.reset()
    return _stack


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
        again = await client.runs.wait(thread, "triage", command={"resume": "perhaps"})
        values = await client.runs.wait(thread, "triage", command={"resume": {"approved": approved, "by": "ada"}})

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


async def test_tokens_and_the_request_id_go_along(stack: Stack) -> None:
    """Each peer gets its own token, read at each call, and the id of the request that started the run."""
    identifier = uuid.uuid4().hex
    body = {"assistant_id": "triage", "input": {"event": {"id": "1", "path": "a.txt", "kind": "added"}}}
    stack.token.write_text("rotated\n")
    async with stack.server.http() as http:
        await http.post("/runs/wait", json=body, headers={"x-request-id": identifier})
    stack.token.write_text("token-of-autogen\n")

    sent = [peer.requests[0][2] for peer in (stack.powershell, stack.autogen)]
    assert [headers["authorization"] for headers in sent] == ["Bearer token-of-powershell", "Bearer rotated"]
    assert [identifier] * 2 == [headers["x-request-id"] for headers in sent]


async def test_a_token_file_that_is_empty_for_a_moment_keeps_its_token(stack: Stack) -> None:
    """A rotation overwrites the file in place: a call made meanwhile is made with the token there was."""
    before = await stack.run("a.txt")
    stack.token.write_text("")
    try:
        meanwhile = await stack.run("a.txt")
    finally:
        stack.token.write_text("token-of-autogen\n")

    assert (before["result"]["status"], meanwhile["result"]["status"]) == ("done", "done")
    assert {headers["authorization"] for _, _, headers, _ in stack.autogen.requests} == {"Bearer token-of-autogen"}


def _told(stack: Stack, request_id: str) -> list[dict[str, Any]]:
    """What the log says under a request id, beside the lines for the requests themselves."""
    lines = map(json.loads, stack.server.log.read_text().splitlines())
    return [line for line in lines if line.get("request_id") == request_id and line["event"] != "request"]


@pytest.mark.parametrize("own", ["", "id-of-the-approval"])
async def test_an_approval_continues_the_story_of_its_event(stack: Stack, own: str) -> None:
    """After the answer the calls carry the id of the event's request, unless the one who answers gives an own one."""
    event = f"event-{uuid.uuid4().hex}"
    body: dict[str, Any] = {"assistant_id": "triage"}
    changed = {"event": {"id": "1", "path": "Tools/run.ps1", "kind": "added"}}
    approval = body | {"command": {"resume": {"approved": True, "by": "ada"}}}
    async with stack.server.client() as client, stack.server.http() as http:
        thread = await new_thread(client)
        await http.post(f"/threads/{thread}/runs/wait", json=body | {"input": changed}, headers={"x-request-id": event})
        headers = {"x-request-id": own} if own else {}
        await http.post(f"/threads/{thread}/runs/wait", json=approval, headers=headers)
    steps = ["run_accepted", "run_started", "peer_called", "run_ended"]
    expected = steps if own else steps * 2

    async def logged() -> bool:
        return len(_told(stack, event)) >= len(expected)

    await until(logged)
    assert stack.powershell.requests[0][2]["x-request-id"] == event
    assert stack.autogen.requests[0][2]["x-request-id"] == (own or event)
    assert [line["event"] for line in _told(stack, event)] == expected
    waits = [line["waits"] for line in _told(stack, event) if line["event"] == "run_ended"]
    assert waits == [True] + [False] * (not own)


async def test_a_run_that_is_taken_over_keeps_its_request_id(tmp_path: Path, server_kind: type[Server]) -> None:
    """After kill -9 the next process goes on under the same request id, in log and calls, and in the chat it began."""
    stack = Stack(tmp_path / "service", server_kind)
    stack.reset()
    identifier, asked = f"event-{uuid.uuid4().hex}", threading.Event()
    stack.autogen.answer = lambda path, body: (asked.set(), (202, {"session_id": "s1", "status": "running"}))[1]
    body = {"assistant_id": "triage", "input": {"event": {"id": "1", "path": "a.txt", "kind": "added"}}}
    try:
        async with stack.server.client() as client, stack.server.http() as http:
            thread = await new_thread(client)
            made = await http.post(f"/threads/{thread}/runs", json=body, headers={"x-request-id": identifier})
            assert await asyncio.to_thread(asked.wait, 15)
            stack.server.kill()
            begun = stack.autogen.requests[0][3]
            stack.reset()
            stack.server.restart()
            values = await client.runs.join(thread, made.json()["run_id"])
    finally:
        stack.server.stop()
        stack.powershell.close()
        stack.autogen.close()

    assert isinstance(values, dict)
    assert values["result"] == {"status": "done", "text": "Mend A.cs"}
    assert [headers["x-request-id"] for _, _, headers, _ in stack.autogen.requests] == [identifier]
    assert begun["session_id"].startswith("triage-")
    assert [chat for _, _, _, chat in stack.autogen.requests] == [begun]
    run = [line["event"] for line in _told(stack, identifier) if "run_id" in line]
    assert run == ["run_accepted", "run_started", "run_resumed", "run_started", "run_ended"]


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
    stack.powershell.answer = lambda path, body: (time.sleep(2.5), (200, {}))[1]

    values = await stack.run("a.txt")

    assert "did not answer within 1 s" in values["result"]["text"]


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


async def test_an_event_without_a_path_is_told(stack: Stack) -> None:
    """Input that is no event is a failed result, not a crash, and nobody is called."""
    values = await stack.run(None)

    assert values["result"] == {"status": "failed", "text": "event: expected an object with a path"}
    assert stack.powershell.requests == []


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
