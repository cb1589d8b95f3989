"""What must not reach for the net."""

from __future__ import annotations

import socket

import pytest
from autogen_core.models import UserMessage
from groupchat_service.autogen_clients import real_client
from groupchat_service.providers import Choice, ProviderName


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_counting_tokens_opens_no_connection(provider: ProviderName, monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoGen would have tiktoken fetch its vocabulary; ours is estimated."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    client = real_client(Choice(provider=provider, model="m", key="k", base_url="http://127.0.0.1:9"), timeout=1)
    messages = [UserMessage(content="x" * 400, source="user")]
    assert client.count_tokens(messages) == 104
    assert client.remaining_tokens(messages) > 100_000
