"""Everything the environment decides, read once at start and refused by name when it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROVIDERS = ("auto", "rules", "openai", "anthropic")
_MODEL_TIMEOUT, _CHAT_TIMEOUT, _MAX_RUNNING, _KEEP_DAYS = 60.0, 300.0, 64, 30.0


class SettingsError(Exception):
    """An environment variable has a value that the service can't work with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The service's settings; `from_env` knows the variables' names."""

    data: Path
    agents: Path = Path("/app/agents")
    provider: str = "auto"
    model: str | None = None
    openai_base_url: str | None = None
    anthropic_base_url: str | None = None
    model_timeout: float = _MODEL_TIMEOUT
    chat_timeout: float = _CHAT_TIMEOUT
    max_running: int = _MAX_RUNNING
    keep_days: float = _KEEP_DAYS
    legacy: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Settings from UC_DATA, UC_AGENTS, UC_MODEL_PROVIDER, UC_MODEL, the base URLs, the limits and LEGACY_API."""
        provider = env.get("UC_MODEL_PROVIDER") or "auto"
        if provider not in PROVIDERS:
            raise SettingsError(f"UC_MODEL_PROVIDER: {provider!r} is not one of {', '.join(PROVIDERS)}")
        return cls(
            data=Path(env.get("UC_DATA") or "/app/data"),
            agents=Path(env.get("UC_AGENTS") or "/app/agents"),
            provider=provider,
            model=env.get("UC_MODEL") or None,
            openai_base_url=env.get("OPENAI_BASE_URL") or None,
            anthropic_base_url=env.get("ANTHROPIC_BASE_URL") or None,
            model_timeout=_positive(env, "UC_MODEL_TIMEOUT", _MODEL_TIMEOUT),
            chat_timeout=_positive(env, "UC_CHAT_TIMEOUT", _CHAT_TIMEOUT),
            max_running=int(_positive(env, "UC_MAX_RUNNING", _MAX_RUNNING)) or 1,
            keep_days=_positive(env, "UC_KEEP_DAYS", _KEEP_DAYS),
            legacy=_switch(env, "LEGACY_API"),
        )


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = (env.get(name) or "0").lower()
    if text not in ("0", "1", "false", "true"):
        raise SettingsError(f"{name}: {text!r} is neither true nor false")
    return text in ("1", "true")


def _positive(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or ""
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise SettingsError(f"{name}: {text!r} is not a positive number")
    return number
