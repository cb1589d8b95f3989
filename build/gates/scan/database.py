"""The vulnerability database: fetched once, and refused if it is stale, broken or incomplete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from build import console
from build.config.manifest import Gates, Manifest
from build.diagnosis import Diagnosis
from build.errors import ScanBroken
from build.gates.scan import download, proof, source
from build.gates.scan.source import Answer
from build.gates.scan.trivy import Scanner
from build.waiting import waiting

OFFLINE = ("--skip-db-update", "--skip-java-db-update", "--offline-scan")
UNCHECKED = "vulnerabilities were NOT checked"
MIRROR = "[gates] db_repository = REGISTRY/trivy-db@sha256:…, a copy of aquasec/trivy-db:2 that this machine reaches"


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """A database that the gate accepts: its reference, by digest where that is known, and its date."""

    reference: str
    updated: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Absent:
    """No database can be had, and why."""

    reason: str


def provide(manifest: Manifest) -> Database | Absent:
    """Fetch the configured database into the cache, unless none is wanted or it can't be reached.

    A cached copy is used if it has the same digest, or if the registry is unreachable.
    Raises ScanBroken for a configured registry that answers without the database, and for a stale or broken database.
    """
    gates, scanner = manifest.gates, Scanner.of(manifest)
    if "vuln" not in gates.scanners:
        return Absent(reason="vuln is not among gates.scanners")
    names = source.repositories(gates)
    if not names:
        return Absent(reason=f'gates.db_repository is "{gates.db_repository}"')
    reference, unreached = _reached(manifest, scanner, names)
    used = reference or download.cached(scanner, names)
    updated = download.updated_at(scanner) if used else None
    if updated is None:
        if reference:
            message = f"{reference} is not a vulnerability database"
            raise ScanBroken(message, hint="mirror aquasec/trivy-db:2 there")
        return Absent(reason=unreached)
    if not reference:
        if source.is_public(gates) and _is_stale(updated, gates, datetime.now(UTC)):
            return Absent(reason=f"{unreached}; the copy here is of {updated:%Y-%m-%d}, which is too old")
        console.warn(f"{unreached}: the copy fetched earlier is used")
    check_age(updated, gates, datetime.now(UTC))
    proof.require(scanner, used, "python-pkg")
    return Database(reference=used, updated=updated)


def _reached(manifest: Manifest, scanner: Scanner, names: Sequence[str]) -> tuple[str, str]:
    """The reference of the database that the cache now has from the first repository that answers; else why not."""
    public = source.is_public(manifest.gates)
    if not public and download.has(scanner, names[0]):
        return names[0], ""
    with waiting(f"asking {' and '.join(names)} for the vulnerability database"):
        answers = source.ask(manifest)
    refusals = []
    for answer in answers:
        try:
            # What nobody has named may be refused by a proxy or a limit on the way: the next one is tried then.
            if not answer.silent and (answer.digest or not public) and download.fetch(scanner, answer.reference):
                return answer.reference, ""
        except ScanBroken as error:
            if not public:
                raise
            refusals.append(Answer(repository=answer.repository, problem=str(error)))
        else:
            refusals.append(answer)
    if public:
        return "", f"no public database can be reached ({source.problems(refusals)})"
    return "", f"the registry of {names[0]} can't be reached"


def is_required(gates: Gates, *, release: bool) -> bool:
    """Whether a scan that could not check vulnerabilities is refused: that of a release is, unless it is said."""
    return release if gates.require_vulnerabilities is None else gates.require_vulnerabilities


def examine(manifest: Manifest) -> Diagnosis:
    """The date of the cached database, and whether the gate would accept it; nothing is fetched."""
    gates = manifest.gates
    if "vuln" not in gates.scanners:
        return Diagnosis("skip", "gates.scanners does not include vuln")
    names = source.repositories(gates)
    if not names:
        refused = ", and a release is refused" if is_required(gates, release=True) else ""
        return Diagnosis("warn", f'"{gates.db_repository}": vulnerabilities are not checked{refused}', MIRROR)
    scanner = Scanner.of(manifest)
    updated = download.updated_at(scanner) if download.cached(scanner, names) else None
    if updated is None or (source.is_public(gates) and _is_stale(updated, gates, datetime.now(UTC))):
        return _examine_public(manifest) if source.is_public(gates) else Diagnosis("ok", f"{names[0]}, not fetched yet")
    check_age(updated, gates, datetime.now(UTC))
    return Diagnosis("ok", f"made {updated:%Y-%m-%d %H:%M} UTC")


def _examine_public(manifest: Manifest) -> Diagnosis:
    answers = source.ask(manifest)
    if answer := next((answer for answer in answers if answer.digest), None):
        return Diagnosis("ok", f"{answer.repository}, not fetched yet")
    hosts = " nor ".join(name.partition("/")[0] for name in source.PUBLIC)
    return Diagnosis("warn", f"neither {hosts} can be reached: vulnerabilities are not checked", MIRROR)


def unobtainable(manifest: Manifest) -> str:
    """Why there is no database to be had now, "" if the cache has one or a repository does; nothing is fetched.

    Raises ScanBroken for a stale one in the cache.
    """
    names = source.repositories(manifest.gates)
    diagnosis = examine(manifest)
    if diagnosis.state != "ok":
        return diagnosis.found
    scanner = Scanner.of(manifest)
    if download.cached(scanner, names) and download.updated_at(scanner):
        return ""
    answers = source.ask(manifest)
    return "" if any(answer.digest for answer in answers) else source.problems(answers)


def require(manifest: Manifest) -> None:
    """Fetch the database. Raises ScanBroken for one that can't be trusted, and for none where a release needs it."""
    provided = provide(manifest)
    if isinstance(provided, Absent):
        if is_required(manifest.gates, release=True):
            raise missing(provided.reason)
        console.warn(f"{UNCHECKED}: {provided.reason}")


def missing(reason: str) -> ScanBroken:
    """The refusal of a release whose vulnerabilities can't be checked, with the three ways out."""
    hint = (
        f"{MIRROR}; or [gates] require_vulnerabilities = false, for every release; or --skip vulnerabilities, for this"
        " one (both are recorded)"
    )
    return ScanBroken(f"vulnerabilities can't be checked, and a release needs that: {reason}", hint=hint)


def _is_stale(updated: datetime, gates: Gates, now: datetime) -> bool:
    return now - updated > timedelta(hours=gates.db_max_age_hours)


def check_age(updated: datetime, gates: Gates, now: datetime) -> None:
    """Raise ScanBroken if the database is older than gates.db_max_age_hours, or dated after tomorrow."""
    age = now - updated
    stamp = f"{updated:%Y-%m-%d %H:%M} UTC"
    if _is_stale(updated, gates, now):
        hours = int(age.total_seconds() // 3600)
        raise ScanBroken(
            f"the vulnerability database is stale: made {stamp}, {hours} h ago;"
            f" gates.db_max_age_hours allows {gates.db_max_age_hours}",
            hint=f"mirror a newer one and name it in gates.db_repository (now {gates.db_repository})",
        )
    if age < timedelta(days=-1):
        message = f"the vulnerability database is dated {stamp}, and this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
        raise ScanBroken(message, hint="set the clock: the age of the database can't be judged")
