"""Real model clients against a provider process on loopback: plain, streaming, and when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from groupchat_harness import Provider, Server, StartServer
from groupchat_service.providers import Providers
from groupchat_service.settings import Settings, SettingsError
from sse_reader import all_events, read

PROVIDERS = [("openai", "/v1/chat/completions"), ("anthropic", "/v1/messages")]
NAMES = [name for name, _ in PROVIDERS]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streaming"])
@pytest.mark.parametrize(("name", "path"), PROVIDERS, ids=NAMES)
def test_a_chat_with_a_real_client_runs_tools_and_ends_approved(
    model_server: Server, provider: Provider, name: str, path: str, stream: bool
) -> None:
    """The client library, AutoGen and the tools work together, as they are locked, over HTTP."""
    model_server.set_key(name, "key-1")
    before = model_server.metric('autogen_model_tokens_total{kind="prompt"}')
    view = model_server.chat(stream=stream)
    assert (view["status"], view["stop_reason"]) == ("finished", "approved"), view
    assert (view["result"], view["model"]) == ("ship the model's fix", f"{name}:gpt-5-mini")
    messages = list(view["messages"])
    types = [message["type"] for message in messages]
    assert (types.count("tool_call"), types.count("tool_result")) == (3, 3)
    assert not any(result["is_error"] for message in messages for result in message.get("results", ()))
    calls = provider.calls()
    assert {(call["path"], call["key"], call["stream"]) for call in calls} == {(path, "key-1", stream)}
    assert model_server.metric('autogen_model_tokens_total{kind="prompt"}') - before == 11 * len(calls)


@pytest.mark.parametrize("name", NAMES)
def test_a_rotated_key_is_used_by_the_next_run(model_server: Server, provider: Provider, name: str) -> None:
    """A key that is overwritten in place needs no restart; the refused run tells why, without key or traceback."""
    model_server.set_key(name, "key-to-hide")
    provider.set(keys=["key-2"])
    refused = model_server.chat()
    assert refused["status"] == "failed"
    assert "401" in str(refused["error"])
    assert "Traceback" not in str(refused["error"])
    model_server.set_key(name, "key-2")
    address = f"/groupchat/{refused['session_id']}/messages"
    answer = model_server.client.post(address, json={"content": "try again", "wait": True})
    assert answer.json()["stop_reason"] == "approved"
    events = all_events(model_server.client, str(refused["session_id"]))
    assert "key-to-hide" not in model_server.log.read_text() + str(events) + str(refused)


@pytest.mark.parametrize("name", NAMES)
def test_the_request_id_goes_along_to_the_provider(model_server: Server, provider: Provider, name: str) -> None:
    """A call at the provider's gateway can be traced to the request that caused it."""
    model_server.set_key(name, "key-1")
    model_server.client.post("/groupchat", json={"task": "t", "wait": True}, headers={"x-request-id": "trace-me"})
    assert {call["request_id"] for call in provider.calls()} == {"trace-me"}


@pytest.mark.parametrize("name", NAMES)
def test_a_streaming_model_s_words_arrive_before_its_message(
    model_server: Server, provider: Provider, name: str
) -> None:
    """A client that watches sees a text in pieces, then whole."""
    model_server.set_key(name, "key-1")
    provider.set(delay=0.05)
    session_id = model_server.start(stream=True)
    with model_server.client.stream("GET", f"/groupchat/{session_id}/events") as response:
        kinds = [event.event for event in read(response)]
    assert "chunk" in kinds
    assert kinds.index("chunk") < kinds.index("finished")


@pytest.mark.parametrize("name", NAMES)
def test_one_agent_s_model_error_is_a_502(model_server: Server, provider: Provider, name: str) -> None:
    """POST /agent/message passes the provider's refusal on, short."""
    model_server.set_key(name, "key-1")
    provider.set(status=400)
    answer = model_server.client.post("/agent/message", json={"agent": "analyst", "content": "x"})
    assert answer.status_code == 502
    assert "refused by the test" in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", NAMES)
def test_the_libraries_add_no_line_to_the_log_that_is_not_json(model_server: Server, name: str) -> None:
    """Warnings of the client libraries are log lines like all others."""
    model_server.set_key(name, "key-1")
    for stream in (False, True):
        model_server.chat(stream=stream)
    for line in model_server.log.read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streaming"])
@pytest.mark.parametrize("name", NAMES)
def test_half_a_character_from_a_model_breaks_no_answer(
    model_server: Server, provider: Provider, name: str, stream: bool
) -> None:
    """JSON can hold what is no text; the chat ends, and session and stream can still be read."""
    model_server.set_key(name, "key-1")
    provider.set(half=True)
    view = model_server.chat(stream=stream)
    assert view["status"] in ("finished", "failed")
    assert all_events(model_server.client, str(view["session_id"]))[-1].event == view["status"]
    assert model_server.client.post("/agent/message", json={"agent": "analyst", "content": "x"}).status_code != 500


def test_without_a_key_auto_means_rules(model_server: Server, provider: Provider) -> None:
    """Offline is a supported place."""
    assert model_server.chat()["model"] == "rules"
    assert provider.calls() == []


def test_a_provider_asked_for_by_name_is_not_silently_replaced(start_server: StartServer) -> None:
    """Without its key the service is alive but not ready, and refuses chats with the reason."""
    server = start_server(UC_MODEL_PROVIDER="anthropic")
    ready = server.client.get("/ready")
    assert (ready.status_code, server.client.get("/health").status_code) == (503, 200)
    assert "anthropic_api_key" in ready.json()["detail"]
    assert server.client.post("/groupchat", json={"task": "t"}).status_code == 503


def test_a_model_that_takes_too_long_fails_the_chat(start_server: StartServer, provider: Provider) -> None:
    """A chat has an end in time, and the reason is told."""
    provider.set(delay=5)
    server = start_server(OPENAI_BASE_URL=f"{provider.url}/v1", UC_CHAT_TIMEOUT="0.5")
    server.set_key("openai", "key-1")
    view = server.chat()
    assert (view["status"], view["error"]) == ("failed", "the chat took longer than 0.5 s")


@pytest.mark.parametrize(
    ("wanted", "keys", "chosen"),
    [
        ("auto", (), "rules"),
        ("auto", ("anthropic",), "anthropic:claude-sonnet-4-5"),
        ("auto", ("openai", "anthropic"), "openai:gpt-5-mini"),
        ("rules", ("openai", "anthropic"), "rules"),
        ("anthropic", ("openai", "anthropic"), "anthropic:claude-sonnet-4-5"),
    ],
)
def test_the_provider_follows_setting_and_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, keys: tuple[str, ...], chosen: str
) -> None:
    """`auto` takes the first provider with a key; a name takes that one."""
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_API_KEY_FILE", str(tmp_path / name))
        (tmp_path / name).write_text("key\n" if name in keys else "")
    choice = Providers(Settings(data=tmp_path, provider=wanted)).choose()
    assert str(choice) == chosen
    assert "key" not in repr(choice)


@pytest.mark.parametrize(
    ("name", "value"), [("UC_MODEL_PROVIDER", "gemini"), ("UC_CHAT_TIMEOUT", "soon"), ("UC_MAX_RUNNING", "-1")]
)
def test_a_bad_setting_is_refused_by_name(name: str, value: str) -> None:
    """A typo in the environment names its variable and value."""
    with pytest.raises(SettingsError, match=f"{name}.*{value}"):
        Settings.from_env({name: value})
