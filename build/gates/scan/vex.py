"""OpenVEX documents of the repository: what their authors say of vulnerabilities in these products.

A finding that a statement calls not_affected or fixed is let through, as with a waiver, and kept as evidence; the other
statuses change nothing. See https://github.com/openvex/spec, version 0.2.0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.errors import ManifestError
from build.typed import suggest

SUPPRESSING = ("not_affected", "fixed")
_STATUSES = (*SUPPRESSING, "affected", "under_investigation")
_JUSTIFICATIONS = (
    "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
)  # fmt: skip
_CONTEXTS = ("https://openvex.dev/ns/v0.2.0", "https://openvex.dev/ns")
_GLOB = "*?["


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A statement: the vulnerability with its other names, the status and the reason given."""

    vulnerability: str
    aliases: tuple[str, ...]
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document: its file, its name relative to the project, the digest of its bytes, and what it says."""

    path: Path
    name: str
    digest: str
    content: Mapping[str, Any]
    statements: tuple[Statement, ...]


def load(manifest: Manifest) -> tuple[Document, ...]:
    """The documents that gates.vex names, in the order of their names.

    Raises ManifestError for a file that is named and missing, and for a document that is malformed.
    """
    paths: dict[str, Path] = {}
    for pattern in manifest.gates.vex:
        found = sorted(path for path in manifest.root.glob(pattern) if path.is_file()) if pattern else []
        if not found and not set(_GLOB) & set(pattern):
            raise ManifestError(f"gates.vex: {pattern}: no such file", hint="create it, or remove it from gates.vex")
        paths |= {path.relative_to(manifest.root).as_posix(): path.absolute() for path in found}
    return tuple(_document(name, path) for name, path in sorted(paths.items()))


def _document(name: str, path: Path) -> Document:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"gates.vex: {name}: {error.strerror}", hint=f"make {name} readable") from None
    document, statements = parse(content, name)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Document(path=path, name=name, digest=digest, content=document, statements=statements)


def parse(content: bytes, source: str) -> tuple[dict[str, Any], tuple[Statement, ...]]:
    """The document in a file and its statements. Raises ManifestError, which names `source` and the path in it."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ManifestError(f"{source}: not valid JSON: {error}", hint=f"fix {source}") from None
    if not isinstance(document, dict) or document.get("@context") not in _CONTEXTS:
        found = document.get("@context") if isinstance(document, dict) else type(document).__name__
        message = f"{source}: @context: expected {_CONTEXTS[0]}, found {found!r}"
        raise ManifestError(message, hint="only OpenVEX documents of version 0.2 are read")
    for key in ("@id", "author", "timestamp"):
        _text(document, key, source, "")
    if not isinstance(statements := document.get("statements"), list) or not statements:
        raise _wrong(source, "statements", "a list of statements", statements)
    return document, tuple(_statement(entry, source, f"statements[{index}]") for index, entry in enumerate(statements))


def _statement(entry: Any, source: str, where: str) -> Statement:
    if not isinstance(entry, dict):
        raise _wrong(source, where, "an object", entry)
    vulnerability = entry.get("vulnerability")
    if not isinstance(vulnerability, dict):
        raise _wrong(source, f"{where}.vulnerability", 'an object such as {"name": "CVE-…"}', vulnerability)
    name = _text(vulnerability, "name", source, f"{where}.vulnerability.")
    aliases = vulnerability.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise _wrong(source, f"{where}.vulnerability.aliases", "a list of texts", aliases)
    status = _word(entry, "status", _STATUSES, source, where)
    _check_products(entry.get("products"), source, where)
    justification = _word(entry, "justification", _JUSTIFICATIONS, source, where) if "justification" in entry else ""
    impact = _text(entry, "impact_statement", source, f"{where}.") if "impact_statement" in entry else ""
    if status == "not_affected" and not (justification or impact):
        message = f"{source}: {where} ({name}): not_affected needs a justification or an impact_statement"
        raise ManifestError(message, hint=f"justification: {', '.join(_JUSTIFICATIONS)}")
    return Statement(vulnerability=name, aliases=tuple(aliases), status=status, reason=impact or justification)


def _check_products(products: Any, source: str, where: str) -> None:
    """Raise ManifestError unless all products and their components are package URLs: Trivy matches nothing else."""
    if not isinstance(products, list) or not products:
        raise _wrong(source, f"{where}.products", "a list of products", products)
    for number, product in enumerate(products):
        place = f"{where}.products[{number}]"
        components = product.get("subcomponents", []) if isinstance(product, dict) else []
        if not isinstance(components, list):
            raise _wrong(source, f"{place}.subcomponents", "a list", components)
        for path, part in ((place, product), *((f"{place}.subcomponents[{i}]", c) for i, c in enumerate(components))):
            if not str(found := _identifier(part)).startswith("pkg:"):
                raise _wrong(source, path, 'a package URL such as {"@id": "pkg:pypi/example@1.0"}', found)


def _identifier(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    identifiers = part.get("identifiers")
    return part.get("@id") or (identifiers.get("purl") if isinstance(identifiers, dict) else None)


def _word(entry: Mapping[str, Any], key: str, known: tuple[str, ...], source: str, where: str) -> str:
    word = entry.get(key)
    if word not in known:
        message = f"{source}: {where}.{key}: expected one of {', '.join(known)}, found {word!r}"
        raise ManifestError(f"{message}{suggest(str(word), known)}", hint=f"fix {source}")
    return str(word)


def _text(entry: Mapping[str, Any], key: str, source: str, prefix: str) -> str:
    if not isinstance(value := entry.get(key), str) or not value.strip():
        raise _wrong(source, f"{prefix}{key}", "a text", value)
    return value


def _wrong(source: str, path: str, expected: str, found: Any) -> ManifestError:
    return ManifestError(f"{source}: {path}: expected {expected}, found {found!r}", hint=f"fix {source}")


def unused(documents: Iterable[Document], used: Iterable[tuple[str, str]]) -> Iterator[tuple[Document, Statement]]:
    """The statements that should let a finding through, and match none of the (id, source) in `used`."""
    matched = [(identifier, source.replace("\\", "/")) for identifier, source in used]
    for document in documents:
        ids = {identifier for identifier, source in matched if source.endswith(f"/{document.name}")}
        for statement in document.statements:
            if statement.status in SUPPRESSING and not ids & {statement.vulnerability, *statement.aliases}:
                yield document, statement
