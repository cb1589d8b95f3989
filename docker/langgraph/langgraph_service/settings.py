"""What the environment decides, read once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
            checkpoints=Path(environ.get("LANGGRAPH_DB_PATH", "/app/data/langgraph.db")),
            agents=Path(environ.get("LANGGRAPH_AGENTS", "/app/agents")),
            max_running=int(environ.get("LANGGRAPH_MAX_RUNNING", "64")),
            max_queued=int(environ.get("LANGGRAPH_MAX_QUEUED", "1000")),
            max_body=int(environ.get("LANGGRAPH_MAX_BODY", str(8 * 1024 * 1024))),
            run_timeout=float(environ.get("LANGGRAPH_RUN_TIMEOUT", "3600")),
            resume_on_start=environ.get("LANGGRAPH_RESUME_ON_START", "true").lower() in {"1", "true", "yes"},
            max_attempts=int(environ.get("LANGGRAPH_MAX_ATTEMPTS", "3")),
            thread_ttl_days=float(environ.get("LANGGRAPH_THREAD_TTL_DAYS", "0")),
            sweep_seconds=float(environ.get("LANGGRAPH_SWEEP_SECONDS", "60")),
        )
