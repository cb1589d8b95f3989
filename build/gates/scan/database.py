"""The vulnerability database: fetched once, and refused if it is stale, broken or incomplete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from build import console, json_file
from build.config.manifest import Gates, Manifest
from build.diagnosis import Diagnosis
from build.errors import ScanBroken
from build.gates.scan.trivy import Scanner, insecure, trivy
from build.waiting import waiting

_SILENT_SECONDS = 10
OFFLINE = ("--skip-db-update", "--skip-java-db-update", "--offline-scan")
# How Go reports an unreachable network. Anything else (no such artifact, no permission, no database) is a failure.
_UNREACHABLE = (
    "connection refused", "no such host", "server misbehaving", "no route to host", "network is unreachable",
    "i/o timeout", "handshake timeout", "context deadline exceeded", "connection reset by peer",
)  # fmt: skip
# A package with a vulnerability that every real database has, by the type that Trivy reports.
_KNOWN_BAD = {
    "python-pkg": ("Python packages", "pkg:pypi/jinja2@2.10"),
    "node-pkg": ("npm packages", "pkg:npm/lodash@4.17.4"),
    "dotnet-core": ("NuGet packages", "pkg:nuget/Newtonsoft.Json@12.0.1"),
}
_PURL_TYPES = {"debian": "deb", "ubuntu": "deb", "alpine": "apk"}
_LOWEST = {"deb": "0-1", "apk": "0-r0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """A database that the gate accepts: its repository and its date."""

    repository: str
    updated: datetime


def provide(scanner: Scanner, gates: Gates) -> Database | None:
    """Fetch the configured database into the cache; None, with a warning, if there is none or its registry is away.

    A cached copy is used if it was fetched by the same digest, or if the registry is unreachable.
    Raises ScanBroken for a registry that answers without the database, and for a stale or broken database.
    """
    if not gates.db_repository:
        console.warn("vulnerabilities were NOT checked: gates.db_repository is empty (name a mirror of trivy-db)")
        return None
    reached = _fetch(scanner, gates.db_repository)
    updated = updated_at(scanner)
    if updated is None:
        if reached:
            message = f"{gates.db_repository} is not a vulnerability database"
            raise ScanBroken(message, hint="mirror aquasec/trivy-db:2 there")
        console.warn(f"vulnerabilities were NOT checked: the registry of {gates.db_repository} can't be reached")
        return None
    if not reached:
        console.warn(f"the registry of {gates.db_repository} can't be reached: the copy fetched earlier is used")
    check_age(updated, gates, datetime.now(UTC))
    _require(scanner, gates.db_repository, "python-pkg")
    return Database(repository=gates.db_repository, updated=updated)


def _fetch(scanner: Scanner, repository: str) -> bool:
    """Download the database unless the cache has the same digest; return False if its registry can't be reached.

    origin.json names the repository of the cached database, and exists only while that one is complete. A database from
    another repository is dropped first, because Trivy would take it for current.
    """
    cache = scanner.cache
    origin = cache / "origin.json"
    cached = json_file.read(origin).get("repository") == repository
    if not cached:
        shutil.rmtree(cache / "db", ignore_errors=True)
    elif "@sha256:" in repository and updated_at(scanner):
        return True
    with waiting(f"fetching the vulnerability database from {repository}"):
        if _is_silent(repository):
            return False
        origin.unlink(missing_ok=True)
        reached = _download(scanner, repository)
    if reached or cached:
        json_file.write(origin, {"repository": repository})
    return reached


def _download(scanner: Scanner, repository: str) -> bool:
    hint = "check gates.db_repository and the login there (docker login, TRIVY_USERNAME, TRIVY_CACERT)"
    arguments = ("--download-db-only", "--no-progress", "--db-repository", repository, *insecure(repository))
    try:
        trivy(scanner, "image", *arguments, hint=hint)
    except ScanBroken as error:
        if not any(words in error.output for words in _UNREACHABLE):
            raise
        return False
    return True


def _is_silent(repository: str) -> bool:
    """Whether the registry times out, as behind a firewall that drops packets: Trivy would wait its whole timeout."""
    import httpx

    try:
        httpx.get(f"https://{repository.partition('/')[0]}/v2/", timeout=_SILENT_SECONDS)
    except httpx.TimeoutException:
        return True
    except (httpx.HTTPError, httpx.InvalidURL):
        pass  # a response of some kind, or a wrong setting: Trivy reports it better
    return False


def examine(manifest: Manifest) -> Diagnosis:
    """The date of the cached database, and whether the gate would accept it; nothing is fetched."""
    gates = manifest.gates
    if "vuln" not in gates.scanners:
        return Diagnosis("skip", "gates.scanners does not include vuln")
    if not gates.db_repository:
        remedy = "[gates] db_repository = REGISTRY/trivy-db@sha256:… in versions.local.toml"
        return Diagnosis("warn", "none configured: vulnerabilities are not checked", remedy)
    updated = updated_at(Scanner.of(manifest))
    if updated is None:
        return Diagnosis("ok", f"{gates.db_repository}, not fetched yet")
    check_age(updated, gates, datetime.now(UTC))
    return Diagnosis("ok", f"made {updated:%Y-%m-%d %H:%M} UTC")


def require(manifest: Manifest) -> None:
    """Fetch the database if one is configured. Raises ScanBroken for one that can't be trusted."""
    if "vuln" in manifest.gates.scanners and manifest.gates.db_repository:
        provide(Scanner.of(manifest), manifest.gates)


def updated_at(scanner: Scanner) -> datetime | None:
    """The date of the cached database; None if there is none."""
    version = json.loads(trivy(scanner, "version", "--format", "json").stdout)
    stamp = (version.get("VulnerabilityDB") or {}).get("UpdatedAt")
    return datetime.fromisoformat(stamp) if stamp else None


def check_age(updated: datetime, gates: Gates, now: datetime) -> None:
    """Raise ScanBroken if the database is older than gates.db_max_age_hours, or dated after tomorrow."""
    age = now - updated
    stamp = f"{updated:%Y-%m-%d %H:%M} UTC"
    if age > timedelta(hours=gates.db_max_age_hours):
        hours = int(age.total_seconds() // 3600)
        raise ScanBroken(
            f"the vulnerability database is stale: made {stamp}, {hours} h ago;"
            f" gates.db_max_age_hours allows {gates.db_max_age_hours}",
            hint=f"mirror a newer one and name it in gates.db_repository (now {gates.db_repository})",
        )
    if age < timedelta(days=-1):
        message = f"the vulnerability database is dated {stamp}, and this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
        raise ScanBroken(message, hint="set the clock: the age of the database can't be judged")


def prove(scanner: Scanner, database: Database, contents: Iterable[str]) -> list[str]:
    """Raise ScanBroken if the database does not cover the contents of the images, for which Trivy reports no findings.

    `contents` are package types (`node-pkg`) and distributions (`debian 13.1`). Returns those without a probe.
    """
    unproven = []
    for kind in sorted(set(contents) - {"python-pkg"}):
        family, _, release = kind.partition(" ")
        if kind in _KNOWN_BAD or (release and family in _PURL_TYPES):
            _require(scanner, database.repository, kind)
        elif release:
            unproven.append(kind)
    return unproven


def _require(scanner: Scanner, repository: str, kind: str) -> None:
    """Scan a bill of materials with one vulnerable package; drop the database from the cache if it has no finding."""
    cache = scanner.cache
    probe = cache / "probe.cdx.json"
    json_file.write(probe, bill(kind))
    name = f"the vulnerability database of {repository}"
    try:
        outcome = trivy(
            scanner, "sbom", "--skip-db-update", "--offline-scan", "--scanners", "vuln", "--quiet", "--format", "json",
            str(probe),
        )  # fmt: skip
    except ScanBroken as error:
        shutil.rmtree(cache / "db", ignore_errors=True)
        hint = "run again to fetch it again; if that does not help, mirror it again"
        raise ScanBroken(f"{name} is broken: Trivy can't read it", hint=hint, output=error.output) from None
    if not any(result.get("Vulnerabilities") for result in json.loads(outcome.stdout).get("Results") or []):
        shutil.rmtree(cache / "db", ignore_errors=True)
        what = _KNOWN_BAD[kind][0] if kind in _KNOWN_BAD else kind
        hint = "mirror the whole of aquasec/trivy-db:2, and name it in gates.db_repository"
        raise ScanBroken(f"{name} knows nothing about {what}: a vulnerable package has no finding", hint=hint)


def bill(kind: str) -> dict[str, Any]:
    """A CycloneDX document with one certainly vulnerable package: a known one, or the oldest possible OpenSSL."""
    components: list[dict[str, Any]] = []
    if kind in _KNOWN_BAD:
        purl = _KNOWN_BAD[kind][1]
    else:
        family, _, release = kind.partition(" ")
        package = _PURL_TYPES[family]
        purl = f"pkg:{package}/{family}/openssl@{_LOWEST[package]}?distro={family}-{release}"
        components.append({"bom-ref": "os", "type": "operating-system", "name": family, "version": release})
    name, _, version = purl.partition("?")[0].rpartition("/")[2].partition("@")
    components.append({"bom-ref": "bad", "type": "library", "name": name, "version": version, "purl": purl})
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
