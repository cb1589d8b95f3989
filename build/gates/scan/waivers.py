"""Waivers: dated, reasoned exceptions to the scan gate, in the .trivyignore.yaml that gates.waivers_file names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.errors import ManifestError
from build.typed import suggest

# Section of the file → Trivy's name for findings of that kind.
_KINDS = {
    "vulnerabilities": "vulnerability",
    "misconfigurations": "misconfiguration",
    "secrets": "secret",
    "licenses": "license",
}
_FIELDS = ("id", "expired_at", "statement", "paths", "purls")


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """An exception: the kind and id of the finding, the first day on which it counts again, and the reason."""

    kind: str
    id: str
    expired_at: date
    statement: str

    def is_expired(self, today: date) -> bool:
        """Whether its findings count again, which for Trivy starts at midnight UTC of that day."""
        return self.expired_at <= today


def load(manifest: Manifest) -> tuple[Path | None, tuple[Waiver, ...]]:
    """The waiver file and its waivers; None and no waivers if no file is configured.

    Raises ManifestError if the file is missing or malformed, or a waiver has no end, no reason or an unknown key.
    """
    name = manifest.gates.waivers_file
    if not name:
        return None, ()
    path = (manifest.root / name).absolute()
    if path.suffix not in {".yaml", ".yml"}:
        message = f"gates.waivers_file: {name}: only a .yaml or .yml file can hold the reason and the end of a waiver"
        raise ManifestError(message, hint="rewrite it as YAML: vulnerabilities: [{id, expired_at, statement}]")
    try:
        return path, parse(path.read_text(encoding="utf-8"), name)
    except OSError as error:
        message = f"gates.waivers_file: {name}: {error.strerror}"
        raise ManifestError(message, hint='create the file, or set gates.waivers_file = ""') from None


def parse(text: str, source: str) -> tuple[Waiver, ...]:
    """The waivers in the text of a file. Raises ManifestError, which names `source` and the path in it."""
    import yaml

    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ManifestError(f"{source}: not valid YAML: {error}", hint=f"fix {source}") from None
    waivers = []
    for section, entries in _mapping(document, source, "the file").items():
        if section not in _KINDS:
            message = f"{source}: {section}: unknown section{suggest(str(section), _KINDS)}"
            raise ManifestError(message, hint=_hint(source))
        if not isinstance(entries, list):
            raise ManifestError(f"{source}: {section}: expected a list, found {entries!r}", hint=_hint(source))
        for index, entry in enumerate(entries):
            where = f"{section}[{index}]"
            waivers.append(_waiver(_KINDS[section], _mapping(entry, source, where), source, where))
    return tuple(waivers)


def _mapping(value: Any, source: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError(f"{source}: {where}: expected keys and values, found {value!r}", hint=_hint(source))
    return value


def _waiver(kind: str, entry: dict[str, Any], source: str, where: str) -> Waiver:
    for key in entry:
        if key not in _FIELDS:  # Trivy ignores it: `purl` for `purls` would waive the id in every package
            raise ManifestError(f"{source}: {where}.{key}: unknown key{suggest(str(key), _FIELDS)}", hint=_hint(source))
    for key in ("id", "statement"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ManifestError(f"{source}: {where}.{key}: missing, and a waiver needs one", hint=_hint(source))
    end = entry.get("expired_at")
    if type(end) is not date:  # a datetime is a date too, and Trivy refuses a quoted date
        found = "missing, and a waiver needs one" if end is None else f"expected a date, unquoted, found {end!r}"
        raise ManifestError(f"{source}: {where}.expired_at ({entry['id']}): {found}", hint=_hint(source))
    return Waiver(kind=kind, id=entry["id"], expired_at=end, statement=entry["statement"])


def _hint(source: str) -> str:
    return f"write in {source}: - {{id: CVE-…, expired_at: 2027-01-31, statement: why it does no harm here}}"


def unused(
    waivers: Iterable[Waiver], used: Iterable[tuple[str, str, str]], kinds: Iterable[str], today: date
) -> list[Waiver]:
    """The valid waivers of the scanned `kinds` that match no (kind, id, statement) in `used`."""
    matched, scanned = set(used), set(kinds)
    return [
        waiver
        for waiver in waivers
        if waiver.kind in scanned
        and not waiver.is_expired(today)
        and (waiver.kind, waiver.id, waiver.statement) not in matched
    ]
