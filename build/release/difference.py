"""What differs between two releases, computed from their records, bills of materials and images. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from build.git.between import Between
from build.release import gate_changes, packages
from build.release.gate_changes import GateChange, RecordedFindings
from build.release.packages import LicenseChange, PackageChange
from build.release.record import Record, RecordedBase


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadImage:
    """What was read of an image for one platform: the bytes that a pull of it takes, its settings, its data formats."""

    size: int
    settings: Mapping[str, str]
    data: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two releases: its record, and what could be read of each service's image.

    `images` is by service and platform, `bills` by service; `lost` and `unbilled` say why a service has no image or no
    bill of materials there.
    """

    record: Record
    images: Mapping[str, Mapping[str, ReadImage]] = field(default_factory=dict)
    bills: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    unbilled: Mapping[str, str] = field(default_factory=dict)

    def digest(self, service: str) -> str:
        """The digest of a service's image, "" for a service that the release does not have."""
        recorded = self.record.services.get(service)
        return recorded.digest if recorded else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRelease:
    """A release that was compared."""

    version: str
    tag: str
    commit: str
    created: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueChange:
    """Something with a name that has another value: None on a side that has none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseChange:
    """A base image that is another one: None on a side that has none."""

    base: str
    before: RecordedBase | None
    after: RecordedBase | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeChange:
    """The bytes that a pull of an image takes, for a platform: None on a side that has none."""

    platform: str
    before: int | None
    after: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceDifference:
    """What differs between the two images of a service, which came, went, changed, or is the same by digest.

    `settings`, `packages` and `licenses` are None where they could not be compared, and `notes` say why.
    """

    service: str
    change: Literal["came", "went", "changed", "same"]
    digest_before: str
    digest_after: str
    platforms_before: tuple[str, ...]
    platforms_after: tuple[str, ...]
    sizes: tuple[SizeChange, ...]
    bases: tuple[BaseChange, ...]
    data: tuple[ValueChange, ...]
    settings: tuple[ValueChange, ...] | None
    packages: tuple[PackageChange, ...] | None
    licenses: tuple[LicenseChange, ...] | None
    findings_before: RecordedFindings | None
    findings_after: RecordedFindings | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDifference:
    """What differs between two releases of a line."""

    line: str
    before: ComparedRelease
    after: ComparedRelease
    commits: Between
    services: tuple[ServiceDifference, ...]
    gates: tuple[GateChange, ...]
    tools: tuple[ValueChange, ...]


def compare(before: Side, after: Side, commits: Between, services: Iterable[str] = ()) -> ReleaseDifference:
    """What differs between two releases, of the services named, or of all that either has."""
    every = dict.fromkeys([*before.record.services, *after.record.services])
    wanted = set(services) or set(every)
    return ReleaseDifference(
        line=after.record.line,
        before=_compared(before.record),
        after=_compared(after.record),
        commits=commits,
        services=tuple(_service(name, before, after) for name in every if name in wanted),
        gates=tuple(gate_changes.changes(before.record.gates, after.record.gates)),
        tools=values(before.record.tools, after.record.tools),
    )


def _compared(record: Record) -> ComparedRelease:
    return ComparedRelease(version=record.version, tag=record.tag, commit=record.commit, created=record.created)


def values(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ValueChange, ...]:
    """What has another value on the two sides, by name."""
    return tuple(
        ValueChange(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def _service(name: str, before: Side, after: Side) -> ServiceDifference:
    old, new = before.record.services.get(name), after.record.services.get(name)
    digests = before.digest(name), after.digest(name)
    same = digests[0] == digests[1]
    contents = ({}, {}) if same else _contents(name, before, after)
    return ServiceDifference(
        service=name,
        change="came" if old is None else "went" if new is None else "same" if same else "changed",
        digest_before=digests[0],
        digest_after=digests[1],
        platforms_before=old.platforms if old else (),
        platforms_after=new.platforms if new else (),
        sizes=tuple(_sizes(before.images.get(name, {}), after.images.get(name, {}))),
        bases=tuple(_bases(old.bases if old else {}, new.bases if new else {})),
        data=() if same else _data_changes(name, before, after),
        settings=() if same else _setting_changes(name, before, after),
        packages=packages.changes(*contents) if contents else None,
        licenses=packages.license_changes(*contents) if contents else None,
        findings_before=gate_changes.findings(before.record, name),
        findings_after=gate_changes.findings(after.record, name),
        notes=tuple(_notes(name, before, after, same=same)),
    )


def _sizes(before: Mapping[str, ReadImage], after: Mapping[str, ReadImage]) -> Iterator[SizeChange]:
    for platform in dict.fromkeys([*before, *after]):
        old, new = before.get(platform), after.get(platform)
        yield SizeChange(platform=platform, before=old.size if old else None, after=new.size if new else None)


def _bases(before: Mapping[str, RecordedBase], after: Mapping[str, RecordedBase]) -> Iterator[BaseChange]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield BaseChange(base=name, before=before.get(name), after=after.get(name))


def _setting_changes(name: str, before: Side, after: Side) -> tuple[ValueChange, ...] | None:
    """The changed settings; None where an image could not be read."""
    if name in before.lost or name in after.lost:
        return None
    old, new = _images(name, before, after)
    return values(old.settings if old else {}, new.settings if new else {})


def _data_changes(name: str, before: Side, after: Side) -> tuple[ValueChange, ...]:
    """The changed formats of data: as the records have them, an older one has none, and then as the images state."""
    sides = []
    for side, image in zip((before, after), _images(name, before, after), strict=True):
        recorded = side.record.services.get(name)
        formats = {volume: str(data) for volume, data in recorded.data.items()} if recorded else {}
        sides.append(formats or (image.data if image else {}))
    return values(*sides)


def _images(name: str, before: Side, after: Side) -> tuple[ReadImage | None, ReadImage | None]:
    """The two images for the first platform that both are for; without one, each for its own first."""
    old, new = before.images.get(name, {}), after.images.get(name, {})
    common = next((platform for platform in old if platform in new), "")
    return old.get(common) or next(iter(old.values()), None), new.get(common) or next(iter(new.values()), None)


def _contents(
    name: str, before: Side, after: Side
) -> tuple[Mapping[str, packages.Package], Mapping[str, packages.Package]] | None:
    """The packages of both images; None where an image has no bill of materials."""
    if name in before.unbilled or name in after.unbilled:
        return None
    return packages.of_bill(before.bills.get(name, {})), packages.of_bill(after.bills.get(name, {}))


def _notes(name: str, before: Side, after: Side, *, same: bool) -> Iterator[str]:
    """What could not be compared, and what else has to be known; one digest has one content, however it was scanned."""
    for side in (before, after):
        if name in side.lost:
            yield side.lost[name]
    yield from gate_changes.not_compared(before.record, after.record, name)
    if same:
        return
    for side in (before, after):
        if name in side.unbilled:
            yield side.unbilled[name]
    if name in before.bills and name in after.bills:
        old, new = _scanner(before.bills[name]), _scanner(after.bills[name])
        if old != new:
            yield f"the bills of materials are by {old} and {new}: what came or went may be what these recognise"


def _scanner(bill: Mapping[str, Any]) -> str:
    """The program that made a bill of materials, and its version."""
    tools = bill.get("metadata", {}).get("tools", {})
    programs = tools.get("components", []) if isinstance(tools, Mapping) else tools
    return ", ".join(f"{tool.get('name', '')} {tool.get('version', '')}".strip() for tool in programs) or "no program"
