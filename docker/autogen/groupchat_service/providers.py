"""Which brain the next chat gets: rules, OpenAI or Anthropic, decided anew from the secret files each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ucservice.secretfile import Secret

from groupchat_service.settings import Settings

ProviderName = Literal["rules", "openai", "anthropic"]
_DEFAULT_MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-5"}
_DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


class ProviderUnavailable(Exception):
    """The configured provider has no key, or its file can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One provider with what it takes to call it; its text form never holds the key."""

    provider: ProviderName
    model: str
    key: str = ""
    base_url: str = ""

    def __repr__(self) -> str:
        return f"Choice({self})"

    def __str__(self) -> str:
        return "rules" if self.provider == "rules" else f"{self.provider}:{self.model}"


class Providers:
    """Reads the key files at each choice, so that a rotated key is used by the next chat."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secrets = {"openai": Secret("openai_api_key"), "anthropic": Secret("anthropic_api_key")}

    def choose(self) -> Choice:
        """The provider that the settings name; `auto` takes the first whose key file holds a key, else the rules."""
        wanted = self._settings.provider
        if wanted in ("auto", "openai") and (key := self._key("openai")):
            return self._choice("openai", key, self._settings.openai_base_url)
        if wanted in ("auto", "anthropic") and (key := self._key("anthropic")):
            return self._choice("anthropic", key, self._settings.anthropic_base_url)
        if wanted in ("auto", "rules"):
            return Choice(provider="rules", model="rules")
        raise ProviderUnavailable(f"UC_MODEL_PROVIDER is {wanted}, but {self._secrets[wanted].path} holds no key")

    def _key(self, provider: str) -> str | None:
        try:
            return self._secrets[provider].current()
        except OSError as error:
            raise ProviderUnavailable(f"{self._secrets[provider].path}: {error.strerror or error}") from error

    def _choice(self, provider: Literal["openai", "anthropic"], key: str, base_url: str | None) -> Choice:
        model = self._settings.model or _DEFAULT_MODELS[provider]
        return Choice(provider=provider, model=model, key=key, base_url=base_url or _DEFAULT_URLS[provider])
