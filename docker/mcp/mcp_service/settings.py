"""What the environment decides, checked once at the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SERVERS = ("modules", "docs", "repository", "events")
PORT = 8002
HOSTS = "localhost,127.0.0.1,[::1],mcp-servers,mcp-modules,mcp-docs,mcp-repository,mcp-events"
ORIGINS = "http://localhost,https://localhost,http://127.0.0.1,https://127.0.0.1,http://[::1]"

_HAS_PORT = re.compile(r":(\d+|\*)$")


class SettingsError(Exception):
    """A variable whose value can't be used; the message names it and what was expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The service's settings; README.md has the table."""

    server: str
    version: str
    release_file: Path | None
    port: int
    public_url: str
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    docs: Path
    workspace: Path
    allow: tuple[str, ...]
    powershell_url: str
    monitoring_url: str
    peer_timeout: float
    search_timeout: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read MCP_*, UC_* and the peers' URLs with their defaults."""
        server = env.get("MCP_SERVER", "")
        if server not in SERVERS:
            raise SettingsError(f"MCP_SERVER={server!r}: expected one of {', '.join(SERVERS)}")
        port = int(_number(env, "UC_PORT", PORT))
        published = int(_number(env, "UC_PUBLISHED_PORT", port))
        return cls(
            server=server,
            version=env.get("UC_VERSION", "").strip(),
            release_file=Path(release) if (release := env.get("UC_RELEASE_FILE", "")) else None,
            port=port,
            public_url=_url(env, "MCP_PUBLIC_URL", f"http://127.0.0.1:{published}/mcp"),
            allowed_hosts=with_any_port(env.get("UC_ALLOWED_HOSTS") or HOSTS),
            allowed_origins=with_any_port(env.get("UC_ALLOWED_ORIGINS") or ORIGINS),
            docs=Path(env.get("UC_DOCS", "/app/docs")),
            workspace=Path(env.get("UC_WORKSPACE", "/workspace")),
            allow=tuple(filter(None, map(str.strip, env.get("REPOSITORY_ALLOW", "").split(",")))),
            powershell_url=_url(env, "POWERSHELL_URL", "http://powershell-modules:5985"),
            monitoring_url=_url(env, "MONITORING_URL", "http://monitoring:8003"),
            peer_timeout=_number(env, "UC_PEER_TIMEOUT", 60),
            search_timeout=_number(env, "UC_SEARCH_TIMEOUT", 10),
        )


def with_any_port(entries: str) -> tuple[str, ...]:
    """`name` stands for name with no port and with any; `name:8443` for exactly that."""
    found: list[str] = []
    for entry in (part.strip() for part in entries.split(",")):
        name = entry.removesuffix(":*")
        if name:
            found += [name] if _HAS_PORT.search(name) else [name, f"{name}:*"]
    return tuple(found)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100_000:
        raise SettingsError(f"{name}={text!r}: expected a positive number")
    return value


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    text = (env.get(name) or default).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"{name}={text!r}: expected http://host:port")
    return text
