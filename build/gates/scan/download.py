"""The vulnerability database in Trivy's cache: where it is from, and its download."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from datetime import datetime

from build import json_file
from build.errors import ScanBroken
from build.gates.scan import source
from build.gates.scan.trivy import Scanner, insecure, trivy
from build.waiting import waiting

# It names what the cached database was fetched as, and exists only while that one is complete.
_ORIGIN = "origin.json"
# How Go reports an unreachable network. Anything else (no such artifact, no permission, no database) is a failure.
_UNREACHABLE = (
    "connection refused", "no such host", "server misbehaving", "no route to host", "network is unreachable",
    "i/o timeout", "handshake timeout", "context deadline exceeded", "connection reset by peer",
)  # fmt: skip


def updated_at(scanner: Scanner) -> datetime | None:
    """The date of the cached database; None if there is none."""
    version = json.loads(trivy(scanner, "version", "--format", "json").stdout)
    stamp = (version.get("VulnerabilityDB") or {}).get("UpdatedAt")
    return datetime.fromisoformat(stamp) if stamp else None


def has(scanner: Scanner, reference: str) -> bool:
    """Whether the cache has the whole database with the digest in a reference."""
    return "@sha256:" in reference and _origin(scanner) == reference and updated_at(scanner) is not None


def cached(scanner: Scanner, repositories: Iterable[str]) -> str:
    """What the cached database was fetched as, if it is from one of the repositories; else ""."""
    origin = _origin(scanner)
    return origin if source.without_tag(origin) in {source.without_tag(name) for name in repositories} else ""


def _origin(scanner: Scanner) -> str:
    return str(json_file.read(scanner.cache / _ORIGIN).get("repository", ""))


def fetch(scanner: Scanner, reference: str) -> bool:
    """Download the database unless the cache has the same digest; return False if its registry can't be reached.

    Trivy takes whatever is in its cache for current: another database is put aside first, and put back when this one
    can't be reached. Raises ScanBroken for a registry that answers without it.
    """
    if has(scanner, reference):
        return True
    database, aside = scanner.cache / "db", scanner.cache / "db-before"
    origin, before = scanner.cache / _ORIGIN, _origin(scanner)
    origin.unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    if database.exists() and (before != reference or "@sha256:" in reference):
        database.rename(aside)
    with waiting(f"fetching the vulnerability database from {reference}"):
        reached = _download(scanner, reference)
    if not reached and aside.exists():
        shutil.rmtree(database, ignore_errors=True)
        aside.rename(database)
    shutil.rmtree(aside, ignore_errors=True)
    if reached or before:
        json_file.write(origin, {"repository": reference if reached else before})
    return reached


def _download(scanner: Scanner, reference: str) -> bool:
    hint = "check gates.db_repository and the login there (docker login, TRIVY_USERNAME, TRIVY_CACERT)"
    arguments = ("--download-db-only", "--no-progress", "--db-repository", reference, *insecure(reference))
    try:
        trivy(scanner, "image", *arguments, hint=hint)
    except ScanBroken as error:
        if not any(words in error.output for words in _UNREACHABLE):
            raise
        return False
    return True
