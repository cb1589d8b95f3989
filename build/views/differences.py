"""What differs between two releases: tables for people, JSON for programs, Markdown for release notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from build import console, github
from build.columns import Column
from build.gates.scan.findings import SEVERITIES
from build.git.between import Between, CommitBetween
from build.github import Code
from build.images.image import short
from build.release.difference import ReleaseDifference, ServiceDifference, SizeChange, ValueChange
from build.release.gate_changes import RecordedFindings
from build.release.packages import PackageChange
from build.release.record import RecordedBase

_SIGN = {"came": "+", "went": "-", "changed": "~"}
_UNITS = ((1_000_000, "MB"), (1_000, "kB"))


@dataclass(frozen=True, slots=True)
class _Section:
    """A table of a comparison; cells that are Code are shown so in Markdown."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]


def report(differences: Sequence[ReleaseDifference], *, json: bool = False, markdown: bool = False) -> None:
    """Print what differs on each line."""
    if json:
        console.result(differences)
    elif markdown:
        text = "\n".join(_markdown(difference) for difference in differences)
        console.text(github.fitting(text, github.NOTES_LIMIT).rstrip("\n"))
    else:
        for difference in differences:
            console.sentence(_title(difference))
            for section in _sections(difference):
                console.text("")
                console.table(section.columns, section.rows, title=section.title)
            for note in _notes(difference):
                console.warn(note)


def _markdown(difference: ReleaseDifference) -> str:
    parts = [f"## {_title(difference)}\n"]
    for section in _sections(difference):
        table = github.table([column.name for column in section.columns], section.rows)
        parts.append(f"### {section.title}\n\n{table}")
    if notes := _notes(difference):
        parts.append("### Not compared\n\n" + github.table(("what",), [(note,) for note in notes]))
    return "\n".join(parts)


def _title(difference: ReleaseDifference) -> str:
    changed = sum(service.change != "same" for service in difference.services)
    images = f"{changed} of {len(difference.services)} images changed"
    versions = f"{difference.before.version} → {difference.after.version}"
    return f"{difference.line} {versions}: {_commits(difference.commits)}, {images}"


def _commits(commits: Between) -> str:
    if commits.unknown and not commits.came and not commits.went:
        return "commits not known"
    came, went = len(commits.came), len(commits.went)
    return f"{came} commit{'s' * (came != 1)}" + (f" more and {went} less" if went else "")


def _notes(difference: ReleaseDifference) -> list[str]:
    commits = [f"commits: {difference.commits.unknown}"] if difference.commits.unknown else []
    return commits + [f"{service.service}: {note}" for service in difference.services for note in service.notes]


def _sections(difference: ReleaseDifference) -> Iterator[_Section]:
    """The tables that have rows, the summary of the services first."""
    both = [service for service in difference.services if service.digest_before and service.digest_after]
    details = Column("before", yields=1, prose=True), Column("after", yields=1, prose=True)
    licenses = Column("licences", yields=2, prose=True)
    every = (
        _Section("Images", (
            Column("service"), Column("image"), Column("size", yields=3, prose=True),
            Column("packages", yields=4, prose=True), Column("findings", yields=2, prose=True),
            Column("settings"), Column("digest", yields=5),
        ), [_summary(service) for service in difference.services]),
        _Section("Packages", (
            Column(""), Column("package"), Column("type"), *details, licenses,
            Column("services", yields=3, prose=True),
        ), list(_packages(both))),
        _Section("Licences", (
            Column(""), Column("licence"), Column("service"), Column("packages", yields=1, prose=True),
        ), list(_licenses(both))),
        _Section("Outdated packages", (
            Column(""), Column("package", yields=1, prose=True), Column("services", yields=2, prose=True),
        ), list(_outdated(both))),
        _Section("Settings", (Column("service"), Column("setting"), *details), list(_settings(both))),
        _Section("Gates", (
            Column("gate"), *details, Column("let through", yields=2, prose=True)
        ), list(_gates(difference))),
        _Section("Notes of gates", (
            Column(""), Column("gate"), Column("note", yields=1, prose=True)
        ), list(_gate_notes(difference))),
        _Section("Built with", (Column("tool"), *details), [
            (change.name, *map(_value, (change.before, change.after))) for change in difference.tools
        ]),
        _Section("Commits", (
            Column(""), Column("commit"), Column("type"), Column("scope"), Column("description", yields=1, prose=True)
        ), list(_commit_rows(difference.commits))),
    )  # fmt: skip
    return (section for section in every if section.rows)


def _summary(service: ServiceDifference) -> tuple[str, ...]:
    before, after = short(service.digest_before), short(service.digest_after)
    return (
        Code(service.service),
        service.change,
        "; ".join(_size(size, named=len(service.sizes) > 1) for size in service.sizes),
        _counted([change.change for change in service.packages]) if service.packages is not None else "not compared",
        _arrow(_findings(service.findings_before), _findings(service.findings_after)),
        _counted(["changed"] * _changed_settings(service)) if service.settings is not None else "not compared",
        Code(_arrow(before, after)),
    )


def _arrow(before: str, after: str) -> str:
    return before if before == after else " → ".join(filter(None, (before, after)))


def _counted(changes: Sequence[str]) -> str:
    return ", ".join(f"{changes.count(kind)} {kind}" for kind in _SIGN if kind in changes) or "same"


def _changed_settings(service: ServiceDifference) -> int:
    platforms = service.platforms_before != service.platforms_after
    return len(service.settings or ()) + len(service.bases) + len(service.data) + platforms


def _bytes(size: int) -> str:
    for unit, name in _UNITS:
        if abs(size) >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def _size(size: SizeChange, *, named: bool) -> str:
    name = f"{size.platform} " if named else ""
    if size.before is None or size.after is None:
        return name + _bytes(size.before or size.after or 0)
    if size.before == size.after:
        return name + _bytes(size.after)
    grown = size.after - size.before
    return f"{name}{_bytes(size.after)} ({'+' if grown > 0 else ''}{_bytes(grown)})"


def _findings(findings: RecordedFindings | None) -> str:
    """What a scan found, in words: never as if something had been checked that was not."""
    if findings is None:
        return ""
    if findings.scan != "passed":
        return {"skipped": "scan SKIPPED", "none": "no scan"}[findings.scan]
    counts = findings.counts
    found = "not recorded" if counts is None else _by_severity(counts)
    found += f", {len(findings.outdated)} outdated" if findings.outdated else ""
    return found if findings.vulnerabilities_checked else f"{found}, vulnerabilities NOT checked"


def _by_severity(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in SEVERITIES if counts.get(name)) or "none"


def _packages(services: Sequence[ServiceDifference]) -> Iterator[tuple[str, ...]]:
    """A row for each change of a package, with the services that share it."""
    sharing: dict[PackageChange, list[str]] = {}
    for service in services:
        for change in service.packages or ():
            sharing.setdefault(change, []).append(service.service)
    for change in sorted(sharing, key=lambda change: (list(_SIGN).index(change.change), change.type, change.name)):
        yield (
            _SIGN[change.change], Code(change.name), change.type,
            Code(", ".join(change.before)), Code(", ".join(change.after)),
            _arrow(", ".join(change.licenses_before), ", ".join(change.licenses_after)), ", ".join(sharing[change]),
        )  # fmt: skip


def _licenses(services: Sequence[ServiceDifference]) -> Iterator[tuple[str, ...]]:
    for service in services:
        for change in service.licenses or ():
            yield _SIGN[change.change], change.license, service.service, Code(", ".join(change.packages))


def _outdated(services: Sequence[ServiceDifference]) -> Iterator[tuple[str, ...]]:
    """A row for each package that is older than its security suite in one of two images, with the services."""
    sharing: dict[tuple[str, str], list[str]] = {}
    for service in services:
        before, after = service.findings_before, service.findings_after
        if before is None or after is None or before.outdated is None or after.outdated is None:
            continue
        for sign, these, those in (("+", before.outdated, after.outdated), ("-", after.outdated, before.outdated)):
            known = {_installed(entry) for entry in these}
            for entry in those:
                if _installed(entry) not in known:
                    sharing.setdefault((sign, entry), []).append(service.service)
    for (sign, entry), names in sorted(sharing.items()):
        yield sign, entry, ", ".join(names)


def _installed(entry: str) -> str:
    """The package and the version that an image has: a suite that moved on makes no other package outdated."""
    return entry.partition(", there ")[0]


def _settings(services: Sequence[ServiceDifference]) -> Iterator[tuple[str, ...]]:
    """What somebody who runs the images may have to know: bases, platforms, formats of data, configuration."""
    for service in services:
        changes = [
            ValueChange(name=f"base {base.base}", before=_base(base.before), after=_base(base.after))
            for base in service.bases
        ]
        changes += [
            ValueChange(name=f"data of {data.name}", before=data.before, after=data.after) for data in service.data
        ]
        if service.platforms_before != service.platforms_after:
            platforms = (", ".join(service.platforms_before), ", ".join(service.platforms_after))
            changes.append(ValueChange(name="platforms", before=platforms[0], after=platforms[1]))
        for change in (*changes, *(service.settings or ())):
            yield service.service, Code(change.name), _value(change.before), _value(change.after)


def _base(base: RecordedBase | None) -> str | None:
    return f"{base.reference} {short(base.digest)} ({base.source})" if base else None


def _value(value: str | None) -> str:
    """A value as it is; in brackets what is none."""
    return "(none)" if value is None else Code(value) if value else "(empty)"


def _gates(difference: ReleaseDifference) -> Iterator[tuple[str, ...]]:
    for gate in difference.gates:
        through = [f"+{name}" for name in gate.waivers_came] + [f"-{name}" for name in gate.waivers_went]
        through += [f"+{name} (VEX)" for name in gate.vex_came] + [f"-{name} (VEX)" for name in gate.vex_went]
        if gate.before != gate.after or through:
            yield gate.gate, gate.before or "(none)", gate.after or "(none)", ", ".join(through)
        if gate.suites_before != gate.suites_after:
            suites = (", ".join(gate.suites_before) or "(none)", ", ".join(gate.suites_after) or "(none)")
            yield f"{gate.gate}, security suites", *suites, ""


def _gate_notes(difference: ReleaseDifference) -> Iterator[tuple[str, ...]]:
    for gate in difference.gates:
        yield from (("+", gate.gate, note) for note in gate.notes_came)
        yield from (("-", gate.gate, note) for note in gate.notes_went)


def _commit_rows(commits: Between) -> Iterator[tuple[str, ...]]:
    for sign, side in (("+", commits.came), ("-", commits.went)):
        yield from (_commit(sign, commit) for commit in side)


def _commit(sign: str, commit: CommitBetween) -> tuple[str, ...]:
    description = f"BREAKING: {commit.description}" if commit.breaking else commit.description
    return sign, commit.commit[:7], commit.type, commit.scope, description
