"""AutoGen's clients for real models, built for one team and closed with it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence

from autogen_core.models import ChatCompletionClient, LLMMessage, ModelFamily, ModelInfo
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
WINDOW = 128_000
_RETRIES = 2


def real_client(choice: Choice, *, timeout: float) -> ChatCompletionClient:
    """A client for the chosen provider, which is not the rules; the request id goes along to gateways that log it.

    The provider's library is imported here: it takes most of a second, and the rules need none.
    """
    module = importlib.import_module(f"groupchat_service.{choice.provider}_client")
    client: ChatCompletionClient = module.Client(
        model=choice.model,
        api_key=choice.key,
        base_url=choice.base_url,
        model_info=MODEL_INFO,
        timeout=timeout,
        max_retries=_RETRIES,
        default_headers={"X-Request-Id": identifier} if (identifier := logs.request_id.get()) else {},
    )
    return client


def estimate_tokens(messages: Sequence[LLMMessage]) -> int:
    """About four characters a token: close enough to keep a window, and no vocabulary is fetched from the net."""
    return sum(math.ceil(len(str(message.content)) / 4) + 4 for message in messages)
