"""What the environment decides, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_TRIGGERS = Path(__file__).with_name("triggers.toml")


class SettingsError(Exception):
    """A variable whose value can't be used; the message names it and what was expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The service's settings; README.md has the table."""

    workspace: Path
    store: Path
    triggers: Path
    environment: Mapping[str, str]
    rescan_seconds: float
    ignore: tuple[str, ...]
    fire_on_baseline: bool
    inotify: bool
    compare_inodes: bool
    hash_bytes: int
    keep_events: int
    retry_base_seconds: float
    retry_cap_seconds: float
    ca_file: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read UC_* with their defaults."""
        return cls(
            workspace=Path(env.get("UC_WORKSPACE", "/workspace")).resolve(),
            store=Path(env.get("UC_STORE", "/app/data/monitoring.db")),
            triggers=Path(env.get("UC_TRIGGERS", "/app/config/triggers.toml")),
            environment=env,
            rescan_seconds=_number(env, "UC_RESCAN_SECONDS", 30, least=0.2),
            ignore=tuple(n for n in env.get("UC_IGNORE", ".git,node_modules,.venv,__pycache__").split(",") if n),
            fire_on_baseline=_flag(env, "UC_FIRE_ON_BASELINE", default=False),
            inotify=_flag(env, "UC_INOTIFY", default=True)
            and not _flag(env, "WATCHFILES_FORCE_POLLING", default=False),
            compare_inodes=_flag(env, "UC_COMPARE_INODES", default=True),
            hash_bytes=int(_number(env, "UC_HASH_BYTES", 1 << 20, least=0)),
            keep_events=int(_number(env, "UC_KEEP_EVENTS", 100_000, least=1)),
            retry_base_seconds=_number(env, "UC_RETRY_BASE_SECONDS", 0.5, least=0.01),
            retry_cap_seconds=_number(env, "UC_RETRY_CAP_SECONDS", 300, least=0.01),
            ca_file=env.get("SSL_CERT_FILE", ""),
        )


def _number(env: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = env.get(name, "")
    try:
        value = float(text) if text else float(default)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise SettingsError(f"{name}={text!r}: expected a number of at least {least:g}")
    return value


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = env.get(name, "").lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    if text:
        raise SettingsError(f"{name}={text!r}: expected 1 or 0")
    return default
