"""AutoGen's clients for real models, built for one team and closed with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autogen_core.models import ChatCompletionClient, LLMMessage, ModelFamily, ModelInfo
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models.anthropic import AnthropicChatCompletionClient
from autogen_ext.models.openai import OpenAIChatCompletionClient
from ucservice import logs

from groupchat_service.providers import Choice

MODEL_INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=True,
    structured_output=False,
    family=ModelFamily.UNKNOWN,
    multiple_system_messages=False,
)
_WINDOW = 128_000
_RETRIES = 2


def real_client(choice: Choice, *, timeout: float) -> ChatCompletionClient:
    """A client for the chosen provider; the request id goes along to gateways that log it."""
    headers = {"X-Request-Id": identifier} if (identifier := logs.request_id.get()) else {}
    make = _OpenAI if choice.provider == "openai" else _Anthropic
    return make(
        model=choice.model,
        api_key=choice.key,
        base_url=choice.base_url,
        model_info=MODEL_INFO,
        timeout=timeout,
        max_retries=_RETRIES,
        default_headers=headers,
    )


def estimate_tokens(messages: Sequence[LLMMessage]) -> int:
    """About four characters a token: close enough to keep a window, and no vocabulary is fetched from the net."""
    return sum(math.ceil(len(str(message.content)) / 4) + 4 for message in messages)


class _OpenAI(OpenAIChatCompletionClient):
    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return estimate_tokens(messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return _WINDOW - estimate_tokens(messages)


class _Anthropic(AnthropicChatCompletionClient):
    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return estimate_tokens(messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return _WINDOW - estimate_tokens(messages)
