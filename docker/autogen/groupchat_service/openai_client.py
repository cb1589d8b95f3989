"""OpenAI's client without tiktoken, which would fetch its vocabulary from the net."""

# ruff: noqa: ARG002  (the interface names arguments that are of no use here)

from __future__ import annotations

from collections.abc import Sequence

from autogen_core.models import LLMMessage
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models.openai import OpenAIChatCompletionClient

from groupchat_service.autogen_clients import WINDOW, estimate_tokens


class Client(OpenAIChatCompletionClient):
    """AutoGen's client with an estimate for a count."""

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """About as many tokens as the messages have."""
        return estimate_tokens(messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """What is left of a common window."""
        return WINDOW - estimate_tokens(messages)
