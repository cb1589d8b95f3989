"""The packages in two bills of materials (CycloneDX), and what came, went or changed between them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from build.release.purl import parse

Kind = Literal["came", "went", "changed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageChange:
    """A package that came, went or changed: its versions and licences on both sides.

    `package` is its package URL without a version. An image may have several versions of one package.
    """

    package: str
    type: str
    name: str
    change: Kind
    before: tuple[str, ...]
    after: tuple[str, ...]
    licenses_before: tuple[str, ...]
    licenses_after: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenseChange:
    """A licence that some package has on one side, and none on the other: the packages that have it."""

    license: str
    change: Kind
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """A package of an image: its versions, and the licences that its bill of materials states."""

    type: str
    name: str
    versions: tuple[str, ...]
    licenses: tuple[str, ...]


def of_bill(bill: Mapping[str, Any]) -> dict[str, Package]:
    """The packages of a bill by their package URL without a version.

    What has no package URL counts by its type and name, if it has a version: so a distribution does, a lock file not.
    """
    names: dict[str, tuple[str, str]] = {}
    versions: dict[str, set[str]] = {}
    licenses: dict[str, set[str]] = {}
    for component in bill.get("components") or []:
        if identified := _identified(component):
            key, names[identified[0]], version = identified[0], identified[1:3], identified[3]
            versions.setdefault(key, set()).add(version)
            licenses.setdefault(key, set()).update(_licenses(component))
    return {
        key: Package(*names[key], tuple(sorted(versions[key], key=_natural)), tuple(sorted(licenses[key])))
        for key in sorted(names)
    }


def _identified(component: Mapping[str, Any]) -> tuple[str, str, str, str] | None:
    """A key for the package, its type, its name and its version; None for what is no package."""
    if purl := parse(component.get("purl") or ""):
        return purl.identity, purl.type, purl.full_name, purl.version
    kind, version = component.get("type", "library"), component.get("version")
    name = "/".join(filter(None, (component.get("group"), component.get("name"))))
    return (f"{kind} {name}", kind, name, version) if name and version else None


def _licenses(component: Mapping[str, Any]) -> Iterator[str]:
    """The licences of a component (CycloneDX, "licenses"): identifiers and names of licences, or an expression."""
    for choice in component.get("licenses") or []:
        license_ = choice.get("license") or {}
        if stated := choice.get("expression") or license_.get("id") or license_.get("name"):
            yield stated


def _natural(version: str) -> list[tuple[int, str]]:
    """The order of versions in a list: numbers by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", version)]


def changes(before: Mapping[str, Package], after: Mapping[str, Package]) -> tuple[PackageChange, ...]:
    """Each package that one side lacks, or that has other versions or licences there, by type and name."""
    nothing = Package("", "", (), ())
    changed = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, nothing), after.get(key, nothing)
        if old != new:
            changed.append(
                PackageChange(
                    package=key, type=(new.type or old.type), name=(new.name or old.name),
                    change="came" if key not in before else "went" if key not in after else "changed",
                    before=old.versions, after=new.versions,
                    licenses_before=old.licenses, licenses_after=new.licenses,
                )
            )  # fmt: skip
    return tuple(changed)


def license_changes(before: Mapping[str, Package], after: Mapping[str, Package]) -> tuple[LicenseChange, ...]:
    """Each licence that came into an image, or went from it as a whole."""
    old, new = _by_license(before), _by_license(after)
    return tuple(
        LicenseChange(
            license=name, change="came" if name in new else "went", packages=tuple(new.get(name) or old[name])
        )
        for name in sorted(old.keys() ^ new.keys())
    )


def _by_license(packages: Mapping[str, Package]) -> dict[str, list[str]]:
    having: dict[str, list[str]] = {}
    for key, package in packages.items():
        for name in package.licenses:
            having.setdefault(name, []).append(key)
    return having
