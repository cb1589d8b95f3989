"""Reads versions.toml, merges versions.local.toml and UC_ variables into it, and checks what types can't express."""

from __future__ import annotations

import os
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from build import console
from build.config import deploy, renamed, rules, signing
from build.config.deploy import DeploySettings, TargetSettings
from build.config.manifest import (
    NOT_KEYS,
    Bases,
    FilterSettings,
    Gates,
    Manifest,
    Project,
    RegistrySettings,
    ReleaseSettings,
    SmokeSettings,
    Tools,
)
from build.config.signing import SigningSettings
from build.errors import ManifestError
from build.typed import from_table, suggest

MKDOCS = ("mkdocs.yml", "mkdocs.yaml")  # a source may be one of these files, for what its site is built from
FILE, LOCAL = "versions.toml", "versions.local.toml"
# The sections that variables may override; None: any key that the file defines.
_SECTIONS: dict[str, type | None] = {
    "build_secrets": None,
    "sources": None,
    "project": Project,
    "tools": Tools,
    "registry": RegistrySettings,
    "bases": Bases,
    "gates": Gates,
    "filter": FilterSettings,
    "smoke": SmokeSettings,
    "release": ReleaseSettings,
    "signing": SigningSettings,
    "deploy": DeploySettings,
}
ALIASES = {"UC_BASE_ARCHIVES": "UC_BASES_ARCHIVES", "UC_REGISTRY": "UC_REGISTRY_ADDRESS"}


def load(root: Path, environment: Mapping[str, str], *, local: bool = True) -> Manifest:
    """Return the validated manifest of the project at `root`; without `local`, versions.local.toml is ignored.

    `environment` has the UC_ variables. Raises ManifestError if a file is missing or malformed, or a key, a type, a
    path or a port is wrong.
    """
    table = _read(root / FILE)
    source = FILE
    if local and (root / LOCAL).exists():
        _overlay(table, _read(root / LOCAL))
        source = f"{FILE} + {LOCAL}"
    variables, warnings = renamed.rename_variables(environment)
    for warning in warnings:
        _warn(warning)
    for name, value in variables.items():
        _apply_variable(table, ALIASES.get(name, name), value)
    return checked(table, root, source=source)


def overridden(root: Path, override: Mapping[str, Any]) -> Manifest:
    """Return the manifest of the project at `root` with a table in the place of versions.local.toml and of variables.

    Raises ManifestError as `load` does.
    """
    table = _read(root / FILE)
    _overlay(table, override)
    return checked(table, root, source=LOCAL)


def checked(table: Mapping[str, Any], root: Path, *, source: str = FILE) -> Manifest:
    """Return the manifest in a table with today's names of keys. Raises ManifestError, which names all that is wrong.

    Types and unknown keys are checked first, then the rules of the types, then what only the whole file shows.
    """
    for key in NOT_KEYS:
        if key in table:
            raise ManifestError(f"{source}: {key}: unknown key", hint=f"remove it from {source}")
    manifest = replace(from_table(Manifest, table, "", source=source), root=root)
    problems = list(_problems(manifest))
    if problems:
        raise ManifestError(f"{source}: " + f"\n{source}: ".join(problems), hint=f"edit {source}")
    return manifest


def _read(path: Path) -> dict[str, Any]:
    """The table of a file, its old keys under their new names."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "run this in the project's folder (the one with tasks.py)"
        raise ManifestError(f"{path}: no such file", hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path.name}: not valid TOML: {error}", hint=f"fix that line of {path}") from None
    for warning in renamed.rename_keys(table, path.name):
        _warn(warning)
    return table


@cache
def _warn(text: str) -> None:
    """Print a warning, once for a task that reads the manifest twice."""
    console.warn(text)


def _overlay(table: dict[str, Any], override: Mapping[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), dict):
            _overlay(table[key], value)
        else:
            table[key] = value


def _apply_variable(table: dict[str, Any], name: str, value: str) -> None:
    if name.startswith(deploy.VARIABLES):
        _apply_target_variable(table.get("deploy", {}).get("targets", {}), name, value)
        return
    for section, cls in _SECTIONS.items():
        prefix = f"UC_{section.upper()}_"
        if not name.startswith(prefix):
            continue
        key = name.removeprefix(prefix).lower()
        entries = table.setdefault(section, {})
        kinds = _settable(cls) if cls else dict.fromkeys(entries, str)
        if key not in kinds:
            message = f"environment: {name}: no key '{key}' in [{section}]{suggest(key, kinds)}"
            raise ManifestError(message, hint=f"unset {name}")
        entries[key] = _parse(name, value, kinds[key])
        return


def _apply_target_variable(targets: Mapping[str, Any], name: str, value: str) -> None:
    """Set a key of a deploy target by its `deploy.variable`."""
    kinds = _settable(TargetSettings)
    variables = {deploy.variable(target, key): (target, key) for target in targets for key in kinds}
    if name not in variables:
        message = f"environment: {name}: no such key of a target in [deploy.targets]{suggest(name, variables)}"
        raise ManifestError(message, hint=f"unset {name}")
    target, key = variables[name]
    targets[target][key] = _parse(name, value, kinds[key])


@cache
def _settable(cls: typing.Hashable) -> dict[str, Any]:
    """The keys of a section that a variable may set, with their types: all but tables."""
    kinds = typing.get_type_hints(cls)
    return {key: kind for key, kind in kinds.items() if typing.get_origin(kind) is not dict}


def _parse(name: str, value: str, kind: Any) -> Any:
    if bool in {kind, *typing.get_args(kind)}:
        if value.lower() not in {"true", "false", "1", "0"}:
            raise ManifestError(f"environment: {name}: expected true or false, found {value!r}")
        return value.lower() in {"true", "1"}
    if kind is int:
        if not value.lstrip("-").isdigit():
            raise ManifestError(f"environment: {name}: expected an integer, found {value!r}")
        return int(value)
    if typing.get_origin(kind) is tuple:
        separators = f"[,{os.pathsep}]" if name.endswith("_ARCHIVES") else ","
        return [part.strip() for part in re.split(separators, value) if part.strip()]
    return value


def _problems(manifest: Manifest) -> Iterator[str]:
    yield from rules.problems(manifest, Manifest)
    yield from _port_problems(manifest)
    if manifest.registry.ca_file and not (manifest.root / manifest.registry.ca_file).is_file():
        yield f"registry.ca_file: no such file: {manifest.registry.ca_file}"
    yield from signing.problems(manifest.root, manifest.signing)
    for key, stage in manifest.stages.items():
        yield from _build_problems(manifest, f"stages.{key}", stage.folder, stage.bases, stage.build_secrets)
    for name, service in manifest.services.items():
        path = f"services.{name}"
        yield from _build_problems(manifest, path, service.folder, service.bases, service.build_secrets)
        for context, target in service.contexts.items():
            kind, _, key = target.partition(":")
            tables: dict[str, Mapping[str, Any]] = {"stage": manifest.stages, "source": manifest.sources}
            if kind in tables and key not in tables[kind]:
                yield (
                    f"{path}.contexts.{context}: {target!r} is not a stage:NAME or source:NAME of this file"
                    f"{suggest(key, [*manifest.stages, *manifest.sources])}"
                )
    for container, (name, settings) in manifest.containers().items():
        path = f"services.{name}" if container == name else f"services.{name}.containers.{container}"
        yield from _unknown(f"{path}.secrets", settings.secrets, manifest.secrets)
        yield from _unknown(f"{path}.depends_on", settings.depends_on, manifest.containers())
        yield from _unknown(f"{path}.mounts", settings.mounts, manifest.sources)
    for name, service in manifest.services.items():
        secrets = [check.secret for check in service.smoke if check.secret]
        yield from _unknown(f"services.{name}.smoke.secret", secrets, manifest.secrets)
    for key, value in manifest.sources.items():
        place = manifest.root / value
        if value and not place.is_dir() and not (place.is_file() and place.name in MKDOCS):
            yield f"sources.{key}: {_not_a_source(place)}: {value}"

    containers = {name: settings for name, (_, settings) in manifest.containers().items()}
    published = {name: settings.published for name, settings in containers.items()}
    stateful = [name for name, settings in containers.items() if settings.volumes]
    yield from deploy.problems(manifest.deploy, published, stateful, manifest.sources)


def _not_a_source(path: Path) -> str:
    return f"not a folder, nor an {MKDOCS[0]}" if path.is_file() else "no such folder"


def _build_problems(
    manifest: Manifest, path: str, folder: str, bases: tuple[str, ...], build_secrets: tuple[str, ...]
) -> Iterator[str]:
    if not (manifest.root / folder / "Dockerfile").is_file():
        yield f"{path}.folder: {folder}/Dockerfile is missing"
    yield from _unknown(f"{path}.bases", bases, manifest.bases.images)
    yield from _unknown(f"{path}.build_secrets", build_secrets, manifest.build_secrets)


def _unknown(path: str, names: Any, known: Mapping[str, Any]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{path}: unknown name '{name}'{suggest(name, known)}"


def _port_problems(manifest: Manifest) -> Iterator[str]:
    owners: dict[int, str] = {}
    for container, (_, settings) in manifest.containers().items():
        owner = owners.setdefault(settings.published, container)
        if owner != container:
            yield f"{manifest.published_key(container)}: {settings.published} is already the port of {owner}"
