"""What a server offers beside its tools, what it refuses by name, and what its health lists."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp_rig import LocalServer, LoopbackPeer, Server, running

NAMES = ("modules", "docs", "repository", "events")
COMMAND = {
    "name": "Get-It",
    "owner": "M",
    "synopsis": "Gets it.",
    "parameters": [{"name": "Path", "type": "String", "mandatory": True, "values": ["a", "b"], "help": "Where."}],
}
LISTED = {
    "modules": {"M"},
    "docs": {"index.md", "guide/rotation.md", "modules/compile-log.md", "other.md"},
    "repository": {".gitignore", "Editor.log", "README.md"},
    "events": {"a-2"},
}
EVENT = {"id": "a-2", "path": "Assets/A.cs", "kind": "modified", "at": "2026-01-01T00:00:00Z", "deliveries": []}


@pytest.fixture
def peer_with_content(peer: LoopbackPeer) -> LoopbackPeer:
    """A peer that has one module and one event."""
    peer.answers = {
        "GET /modules/M/commands": (200, {"module": "M", "commands": [COMMAND]}),
        "GET /events/a-2": (200, EVENT),
        "GET /events": (200, {"events": [EVENT]}),
        "GET /modules": (200, {"modules": [{"name": "M", "commands": ["Get-It"]}]}),
    }
    return peer


def ask(server: Server, question: Any) -> Any:
    """What the real client makes of it."""

    async def once() -> Any:
        async with server.client() as client:
            return await question(client)

    return asyncio.run(once())


def message(server: Server, method: str, identifier: object = 1, **params: Any) -> dict[str, Any]:
    """The answer to one message."""
    body = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
    answer: dict[str, Any] = json.loads(server.post(json.dumps(body).encode(), MCP_Protocol_Version="2025-11-25")[1])
    return answer


@pytest.mark.parametrize("name", NAMES)
def test_p12_what_is_advertised_is_there(
    local_servers: dict[str, LocalServer], peer_with_content: LoopbackPeer, name: str
) -> None:
    """Each server has a prompt and resources, each with a title and a description; all of it can be had."""
    arguments = {"module": "M", "command": "Get-It", "event_id": "a-2", "question": "where are secrets?"}

    async def all_of_it(client: Client) -> None:
        prompts = (await client.list_prompts()).prompts
        assert prompts
        for prompt in prompts:
            given = {one.name: arguments[one.name] for one in prompt.arguments or () if one.name in arguments}
            got = await client.get_prompt(prompt.name, given)
            assert prompt.title
            assert prompt.description
            assert len(got.messages) == 1
        templates = (await client.list_resource_templates()).resource_templates
        assert templates
        for template in templates:
            assert template.title
            assert template.description
        resources = (await client.list_resources()).resources
        for resource in resources:
            assert (await client.read_resource(resource.uri)).contents
        assert {resource.name for resource in resources} == LISTED[name]

    ask(local_servers[name], all_of_it)


READS = [
    ("modules", "module:///M", "# M\n\n## Get-It\nGets it.\n- `-Path` (String, mandatory, one of a, b) Where."),
    ("modules", "module:///M/get-it", "## Get-It\nGets it.\n- `-Path` (String, mandatory, one of a, b) Where."),
    ("events", "event:///a-2", json.dumps(EVENT, indent=1)),
    ("docs", "docs:///guide/rotation.md", "Overwrite the file in place.\n\n## Swarm\n\nUpdate it.\n"),
    ("docs", "docs:///guide/rotation", "Overwrite the file in place.\n\n## Swarm\n\nUpdate it.\n"),
    ("repository", "repository:///Assets/Player.cs.meta", "guid: 1"),
]


@pytest.mark.parametrize(("name", "uri", "text"), READS)
def test_p12_resources_are_read_by_template(
    local_servers: dict[str, LocalServer], peer_with_content: LoopbackPeer, name: str, uri: str, text: str
) -> None:
    """The help of a module or a command, an event, a page, a file of the workspace."""
    got = ask(local_servers[name], lambda client: client.read_resource(uri))
    assert got.contents[0].text == text


def test_p12_prompts_hold_what_they_are_about(
    local_servers: dict[str, LocalServer], peer_with_content: LoopbackPeer
) -> None:
    """The event itself, the help itself, the sections that a search found, the commit itself."""
    asked = {
        "events": ("triage_event", {"event_id": "a-2"}, '"path": "Assets/A.cs"'),
        "modules": ("explain", {"module": "M"}, "Gets it."),
        "docs": ("answer_from_docs", {"question": "where are the secrets?"}, "/run/secrets"),
        "repository": ("review_commit", {}, "+    int Speed;"),
    }
    for name, (prompt, arguments, part) in asked.items():
        got = ask(local_servers[name], lambda client, p=prompt, a=arguments: client.get_prompt(p, a))
        assert part in got.messages[0].content.text.replace("\\n", "\n")


WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("events", "prompts/get", {"name": "nothing"}, "unknown prompt 'nothing'; known: triage_event"),
    ("events", "prompts/get", {"name": "triage_event"}, "prompt triage_event: missing arguments: event_id"),
    (
        "events",
        "prompts/get",
        {"name": "triage_event", "arguments": {"event_id": "a-2", "x": "1"}},
        "prompt triage_event: unknown arguments: 'x'; known: event_id",
    ),
    ("events", "prompts/get", {"name": "triage_event", "arguments": {"event_id": "b"}}, "monitoring answered 404: ?"),
    ("events", "resources/read", {"uri": "event:///b"}, "monitoring answered 404: ?"),
    ("modules", "resources/read", {"uri": "module:///M/Set-It"}, "module M has no command 'Set-It'; it has Get-It"),
    ("docs", "resources/read", {"uri": "docs:///guides/rotate.md"}, "no page 'guides/rotate.md'; perhaps guide"),
    ("docs", "resources/read", {"uri": "nothing:///x"}, "Unknown resource: nothing:///x"),
    ("repository", "resources/read", {"uri": "repository:///nothing.txt"}, "'nothing.txt' does not exist"),
]


@pytest.mark.parametrize(("name", "method", "params", "reason"), WRONG)
def test_p12_an_unknown_name_is_an_error_of_its_own(
    local_servers: dict[str, LocalServer],
    peer_with_content: LoopbackPeer,
    name: str,
    method: str,
    params: dict[str, Any],
    reason: str,
) -> None:
    """-32602 with the name and what is known, never an internal error."""
    error = message(local_servers[name], method, **params)["error"]
    assert (error["code"], error["message"][: len(reason)]) == (-32602, reason)


def test_p12_a_closed_file_is_no_resource(tmp_path: Path) -> None:
    """Resources go through the same rules as the tools, and a refusal keeps its reason."""
    (tmp_path / ".env").write_text("needle")
    with running(tmp_path, "repository", UC_WORKSPACE=str(tmp_path)) as server:
        for uri in ("repository:///.env", "repository:///../log", "repository:////etc/passwd"):
            answer = message(server, "resources/read", uri=uri)
            assert "error" in answer
            assert "needle" not in str(answer)
        assert "an environment file" in message(server, "resources/read", uri="repository:///.env")["error"]["message"]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("identifier", [1.5, 1.0, None, True, {}, [1]], ids=str)
def test_p12_an_id_that_no_request_can_have_is_refused(
    local_servers: dict[str, LocalServer], path: str, identifier: object
) -> None:
    """400 with the reason, where the client would wait for an answer to a request that was taken for a notification."""
    body = json.dumps({"jsonrpc": "2.0", "id": identifier, "method": "tools/list"}).encode()
    server = local_servers["docs"]
    headers = {"Content_Type": "application/json", "Accept": "application/json, text/event-stream"}
    for version in ("2025-11-25", "2026-07-28"):
        token = {"Authorization": f"Bearer {server.token}", "MCP_Protocol_Version": version}
        status, text, _ = server.request("POST", path, body, **headers, **token)
        assert (status, json.loads(text)["error"]["code"]) == (400, -32600)
    assert server.request("POST", path, body, **headers)[0] == 401


def test_p12_a_notification_is_still_accepted(local_servers: dict[str, LocalServer]) -> None:
    """A message without an id is a notification, and its answer is 202."""
    body = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    assert local_servers["docs"].post(body, MCP_Protocol_Version="2025-11-25")[0] == 202


def test_p12_a_slash_at_the_end_is_no_redirect(local_servers: dict[str, LocalServer]) -> None:
    """A client that follows a redirect may drop its token: /mcp/ is /mcp, with the token and without."""
    server = local_servers["docs"]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    headers = {"Content_Type": "application/json", "Accept": "application/json, text/event-stream"}
    for path in ("/mcp", "/mcp/"):
        assert server.request("POST", path, body, **headers)[0] == 401
        status, text, _ = server.request("POST", path, body, **headers, Authorization=f"Bearer {server.token}")
        assert (status, "result" in json.loads(text)) == (200, True)


@pytest.mark.parametrize("name", NAMES)
def test_p12_an_argument_that_a_tool_has_not_is_named(local_servers: dict[str, LocalServer], name: str) -> None:
    """A misspelt argument is refused by its name, and the schema says that there are no others."""
    tools = message(local_servers[name], "tools/list")["result"]["tools"]
    for tool in tools:
        assert tool["inputSchema"]["additionalProperties"] is False
        result = message(local_servers[name], "tools/call", name=tool["name"], arguments={"pattren": "x"})["result"]
        assert result["isError"]
        assert "pattren" in result["content"][0]["text"]


def test_p12_the_release_in_force_is_a_resource(tmp_path: Path) -> None:
    """Where the stack says what it is, it can be attached, as it is now: a release changes while the server runs."""
    (docs := tmp_path / "docs").mkdir()
    file = tmp_path / "release.json"
    with running(tmp_path, "docs", UC_DOCS=str(docs), UC_RELEASE_FILE=str(file)) as server:
        listed = [one["uri"] for one in message(server, "resources/list")["result"]["resources"]]
        missing = message(server, "resources/read", uri="release:///current")["error"]
        read = []
        for version in ("1.4.0", "1.5.0"):
            file.write_text(json.dumps({"version": version}))
            got = ask(server, lambda client: client.read_resource("release:///current"))
            read.append(json.loads(got.contents[0].text)["version"])
    assert listed == ["release:///current"]
    assert "does not say which release runs" in missing["message"]
    assert read == ["1.4.0", "1.5.0"]


def test_p12_a_peer_that_is_away_has_nothing_to_list(tmp_path: Path) -> None:
    """The list is empty and no error; reading says what is wrong."""
    with running(tmp_path, "events", MONITORING_URL="http://127.0.0.1:9") as server:
        assert message(server, "resources/list")["result"]["resources"] == []
        error = message(server, "resources/read", uri="event:///a")["error"]
        assert (error["code"], "monitoring can't be reached" in error["message"]) == (-32603, True)


def inventory(server: Server) -> dict[tuple[str, str], dict[str, Any]]:
    """What /health lists."""
    entries = json.loads(server.get("/health")[1])["inventory"]
    return {(entry["kind"], entry["name"]): entry for entry in entries}


@pytest.mark.parametrize("name", NAMES)
def test_health_lists_the_tools_and_what_they_serve(
    local_servers: dict[str, LocalServer], peer: LoopbackPeer, name: str
) -> None:
    """Each tool is critical and ready; pages are counted; a peer is asked in the background and is not critical."""
    peer.answers = {"GET /health": (200, {"status": "healthy"})}
    server = local_servers[name]
    tools = {tool["name"] for tool in message(server, "tools/list")["result"]["tools"]}
    listed = inventory(server)
    assert {entry[1] for entry in listed if entry[0] == "tool"} == tools
    assert all(listed["tool", tool]["critical"] and listed["tool", tool]["state"] == "ready" for tool in tools)
    sources = {key[1]: entry for key, entry in listed.items() if key[0] == "source"}
    if name == "docs":
        assert (sources["pages"]["state"], sources["pages"]["count"], sources["pages"]["critical"]) == (
            "ready",
            4,
            True,
        )
    elif name == "repository":
        assert sources["workspace"]["state"] == "ready"
    else:
        (entry,) = sources.values()
        assert not entry["critical"]


def test_health_says_what_its_peer_is_like(tmp_path: Path) -> None:
    """Pending before it was asked, then failed with the reason; the server itself is healthy all the while."""
    with running(tmp_path, "modules", POWERSHELL_URL="http://127.0.0.1:9") as server:
        states = [inventory(server)["source", "powershell-modules"]]
        while states[-1]["state"] == "pending" and len(states) < 1000:
            states.append(inventory(server)["source", "powershell-modules"])
        assert (states[0]["state"], states[-1]["state"]) == ("pending", "failed")
        assert "can't be reached at http://127.0.0.1:9" in states[-1]["reason"]
        assert server.get("/health")[0] == 200


def test_health_names_the_source_that_is_missing(tmp_path: Path) -> None:
    """503, with the entry and the reason."""
    with running(tmp_path, "repository", UC_WORKSPACE="/nowhere") as server:
        status, body = server.get("/health")
        entry = inventory(server)["source", "workspace"]
        assert (status, entry["state"], entry["critical"]) == (503, "failed", True)
        assert "/nowhere" in json.loads(body)["reason"]
