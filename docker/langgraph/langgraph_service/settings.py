"""What the environment decides, read once at start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


class SettingsError(Exception):
    """A variable has a value that the service can't work with; the message names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where state and graphs are, and how much work is taken at once."""

    checkpoints: Path
    agents: Path
    max_running: int
    max_queued: int
    max_body: int
    run_timeout: float
    resume_on_start: bool
    max_attempts: int
    thread_ttl_days: float
    sweep_seconds: float
    critical: tuple[str, ...]
    cors_origins: tuple[str, ...]
    legacy_api: bool

    @property
    def work(self) -> Path:
        """The working folder of the graphs: what they write by a relative path is beside the state."""
        return self.checkpoints.with_name("work")

    @property
    def tables(self) -> Path:
        """Threads and runs: a second file, because two connections on one SQLite file end in `database is locked`."""
        return self.checkpoints.with_name(f"{self.checkpoints.stem}-api.db")

    @property
    def store(self) -> Path:
        """The graphs' long-term store: a third file, for the same reason."""
        return self.checkpoints.with_name(f"{self.checkpoints.stem}-store.db")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings of this process."""
        return cls(
            checkpoints=Path(environ.get("LANGGRAPH_DB_PATH", "/app/data/langgraph.db")).absolute(),
            agents=Path(environ.get("LANGGRAPH_AGENTS", "/app/agents")).absolute(),
            max_running=_whole(environ, "LANGGRAPH_MAX_RUNNING", 64, least=1),
            max_queued=_whole(environ, "LANGGRAPH_MAX_QUEUED", 1000, least=1),
            max_body=_whole(environ, "LANGGRAPH_MAX_BODY", 8 * 1024 * 1024, least=1),
            run_timeout=_number(environ, "LANGGRAPH_RUN_TIMEOUT", 3600, least=0.001),
            resume_on_start=_flag(environ, "LANGGRAPH_RESUME_ON_START", "true"),
            max_attempts=_whole(environ, "LANGGRAPH_MAX_ATTEMPTS", 3, least=1),
            thread_ttl_days=_number(environ, "LANGGRAPH_THREAD_TTL_DAYS", 0, least=0),
            sweep_seconds=_number(environ, "LANGGRAPH_SWEEP_SECONDS", 60, least=0.001),
            critical=_names(environ, "UC_CRITICAL"),
            cors_origins=_origins(environ),
            legacy_api=_flag(environ, "LEGACY_API", "false"),
        )


def _names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, environ.get(name, "").split(",")) if part)


def _flag(environ: Mapping[str, str], name: str, default: str) -> bool:
    return environ.get(name, default).lower() in {"1", "true", "yes"}


def _origins(environ: Mapping[str, str]) -> tuple[str, ...]:
    origins = _names(environ, "CORS_ORIGINS")
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise SettingsError(f"CORS_ORIGINS={origin!r}: expected an origin such as https://smith.langchain.com")
    return origins


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise SettingsError(f"{name}={text!r}: expected a number of at least {least:g}")
    return value


def _whole(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    value = _number(environ, name, default, least=least)
    if value != int(value):
        raise SettingsError(f"{name}={environ[name]!r}: expected a whole number")
    return int(value)
