"""What an image's configuration says to whoever runs it (OCI image specification, config.md). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from build.images import data_formats

# Each image has its own; the formats of its data are listed separately.
_OF_THE_BUILD = {f"org.opencontainers.image.{name}" for name in ("version", "revision", "created")}
_SECOND = 1_000_000_000
_VALUES = {
    "User": "user", "WorkingDir": "working directory", "Entrypoint": "entrypoint", "Cmd": "command",
    "StopSignal": "stop signal",
}  # fmt: skip
_TIMES = {"Interval", "Timeout", "StartPeriod", "StartInterval"}
_SETS = {"ExposedPorts": "port", "Volumes": "volume"}


def of_config(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings of an image's configuration as text, each under a name such as `env PATH` or `port 8080/tcp`."""
    own: Mapping[str, Any] = config.get("config") or {}
    return dict(sorted(_settings(own)))


def data_of_config(config: Mapping[str, Any]) -> dict[str, str]:
    """The formats of data that an image's labels state, by volume."""
    labels: Mapping[str, str] = (config.get("config") or {}).get("Labels") or {}
    return {
        name.removeprefix(data_formats.LABEL): value
        for name, value in sorted(labels.items())
        if name.startswith(data_formats.LABEL)
    }


def _settings(own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, name in _VALUES.items():
        if value := own.get(key):
            yield name, _text(value)
    for key, name in _SETS.items():
        for entry in own.get(key) or {}:
            yield f"{name} {entry}", "yes"
    for entry in own.get("Env") or []:
        name, _, value = entry.partition("=")
        yield f"env {name}", value
    for name, value in (own.get("Labels") or {}).items():
        if name not in _OF_THE_BUILD and not name.startswith(data_formats.LABEL):
            yield f"label {name}", value
    for name, value in (own.get("Healthcheck") or {}).items():
        if value:
            yield f"healthcheck {name.lower()}", f"{value / _SECOND:g}s" if name in _TIMES else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
