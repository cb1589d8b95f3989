"""Writes versions.local.toml: what differs on this machine, and beside it as comments what could."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from build.config.load import LOCAL
from build.config.manifest import Manifest
from build.errors import ManifestError

_HEAD = """\
#:schema ./schema/versions.local.schema.json
# What differs on this machine from versions.toml; git ignores this file. Edit it: the next task reads it.
# Every key is in docs/pages/versions-toml.md. A line that begins with # has what versions.toml says.
"""
_SOURCES = """
# Your own folders, relative to this file: docs/pages/sources.md
"""
_REGISTRY = """
# Where images are pushed to; embedded: ./inv registry.up serves the address on this machine.
# A login: username with the password in a file, or docker login's. ca_file: the CA of its certificate.
"""
_PUBLISHED = """
# Ports on this machine (127.0.0.1); inside, each program listens where it always does.
"""


def require_absent(root: Path) -> None:
    """Raise ManifestError if the project at `root` has a versions.local.toml: it is never overwritten."""
    path = root / LOCAL
    if path.exists() or path.is_symlink():
        raise ManifestError(
            f"{LOCAL} exists, and is not overwritten",
            hint=f"edit it: its keys are in docs/pages/versions-toml.md; to begin anew: mv {LOCAL} {LOCAL}.old",
        )


def write(root: Path, content: str) -> None:
    """Write the file into the project at `root`. Raises ManifestError if it exists."""
    try:
        with (root / LOCAL).open("x", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except FileExistsError:
        require_absent(root)


def text(shipped: Manifest, override: Mapping[str, Any]) -> str:
    """Return the text of the file with the keys of `override`; the others of its sections are comments."""
    return "".join([
        _HEAD,
        _SOURCES, *_section("sources", override.get("sources", {}), shipped.sources),
        _REGISTRY, *_section("registry", override.get("registry", {}), _registry(shipped)),
        _PUBLISHED, *_published(shipped, override.get("services", {})),
    ])  # fmt: skip


def _registry(shipped: Manifest) -> dict[str, Any]:
    keys = ("address", "namespace", "embedded", "username", "password_file", "ca_file")
    return {key: getattr(shipped.registry, key) for key in keys}


def _section(name: str, values: Mapping[str, Any], shipped: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]\n"
    for key in {**shipped, **values}:
        yield f"{key} = {_value(values[key])}\n" if key in values else f"# {key} = {_value(shipped[key])}\n"


def _published(shipped: Manifest, services: Mapping[str, Any]) -> Iterator[str]:
    """A table for each container with another port; one as an example where every port stays."""
    ports = {
        (name, *container): table["published"]
        for name, service in services.items()
        for container, table in [
            ((), service),
            *(((key,), value) for key, value in service.get("containers", {}).items()),
        ]
        if "published" in table
    }
    for (name, *container), port in ports.items():
        path = ".".join(map(_key, ["services", name, *(["containers", *container] if container else [])]))
        yield f"[{path}]\npublished = {port}\n"
    example = next((name for name, service in shipped.services.items() if not service.containers), "")
    if not ports and example:
        service = shipped.services[example]
        yield f"# [services.{_key(example)}]\n# published = {service.published or service.port}\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _value(value: Any) -> str:
    """A string, a number or a truth value as TOML: as JSON writes it, but for the DEL that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
