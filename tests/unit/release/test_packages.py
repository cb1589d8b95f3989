"""What came, went or changed between two bills of materials."""

from __future__ import annotations

from typing import Any

import pytest

from build.release import packages


def bill(*components: Any) -> dict[str, Any]:
    """A bill of materials of components, each a package URL, one with its licences, or a whole one."""
    parts: list[dict[str, Any]] = []
    for component in components:
        if isinstance(component, str):
            parts.append({"type": "library", "purl": component})
        elif isinstance(component, tuple):
            purl, *licenses = component
            parts.append(
                {"type": "library", "purl": purl, "licenses": [{"license": {"id": name}} for name in licenses]}
            )
        else:
            parts.append(component)
    return {"bomFormat": "CycloneDX", "components": parts}


def compared(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """Each change: the package, what it did, and its versions on both sides."""
    changes = packages.changes(packages.of_bill(before), packages.of_bill(after))
    return [(change.package, change.change, change.before, change.after) for change in changes]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (["pkg:npm/a@1"], ["pkg:npm/a@1"], []),
        ([], ["pkg:npm/a@1"], [("pkg:npm/a", "came", (), ("1",))]),
        (["pkg:npm/a@1"], [], [("pkg:npm/a", "went", ("1",), ())]),
        (["pkg:npm/a@1"], ["pkg:npm/a@2"], [("pkg:npm/a", "changed", ("1",), ("2",))]),
        (["pkg:npm/a@1"], ["pkg:pypi/a@1"], [("pkg:npm/a", "went", ("1",), ()), ("pkg:pypi/a", "came", (), ("1",))]),
        (["pkg:npm/%40x/a@1"], ["pkg:npm/a@1"], [("pkg:npm/%40x/a", "went", ("1",), ()), ("pkg:npm/a", "came", (), ("1",))]),
        (["pkg:npm/%40x/a@1"], ["pkg:npm/@x/a@1"], []),
        (["pkg:deb/debian/a@1?arch=amd64&distro=debian-12"], ["pkg:deb/debian/a@1?distro=debian-13&arch=amd64"], []),
        (["pkg:deb/debian/a@1?epoch=1"], ["pkg:deb/debian/a@1?epoch=2"], [("pkg:deb/debian/a", "changed", ("1:1",), ("2:1",))]),
        (["pkg:npm/a@1", "pkg:npm/a@1"], ["pkg:npm/a@1"], []),
        (["pkg:npm/a@1", "pkg:npm/a@2"], ["pkg:npm/a@2", "pkg:npm/a@1"], []),
        (["pkg:npm/a@1", "pkg:npm/a@2"], ["pkg:npm/a@2", "pkg:npm/a@10"], [("pkg:npm/a", "changed", ("1", "2"), ("2", "10"))]),
        (["pkg:npm/a@1"], ["pkg:npm/a@1", "pkg:npm/a@2"], [("pkg:npm/a", "changed", ("1",), ("1", "2"))]),
        (["pkg:npm/a"], ["pkg:npm/a@1"], [("pkg:npm/a", "changed", ("",), ("1",))]),
    ],
)  # fmt: skip
def test_a_package_is_its_type_namespace_and_name(
    before: list[str], after: list[str], changes: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]
) -> None:
    """A version that changes is a change of that package, however many versions of it an image has."""
    assert compared(bill(*before), bill(*after)) == changes


def test_what_has_no_package_url_counts_by_its_name() -> None:
    """The distribution has a version and changes; a lock file has none and is no package."""
    system = {"type": "operating-system", "name": "debian", "version": "12.1"}
    lock = {"type": "application", "name": "package-lock.json", "purl": "broken"}

    changes = compared(bill(system, lock), bill({**system, "version": "12.2"}))

    assert changes == [("operating-system debian", "changed", ("12.1",), ("12.2",))]


def test_a_licence_that_changes_is_a_change_of_its_package() -> None:
    """Identifiers, names and expressions are licences; another one at the same version is said."""
    named = {"type": "library", "purl": "pkg:npm/b@1", "licenses": [{"license": {"name": "Own"}}]}
    expression = {"type": "library", "purl": "pkg:npm/b@1", "licenses": [{"expression": "MIT OR Apache-2.0"}]}
    before = packages.of_bill(bill(("pkg:npm/a@1", "MIT"), named))
    after = packages.of_bill(bill(("pkg:npm/a@1", "MIT"), expression))

    (change,) = packages.changes(before, after)

    assert (change.package, change.change, change.before, change.after) == ("pkg:npm/b", "changed", ("1",), ("1",))
    assert (change.licenses_before, change.licenses_after) == (("Own",), ("MIT OR Apache-2.0",))


def test_a_licence_came_when_no_package_had_it_before() -> None:
    """A licence that another package has already is nothing new; one that the last package takes along went."""
    before = packages.of_bill(bill(("pkg:npm/a@1", "MIT"), ("pkg:npm/b@1", "ISC"), ("pkg:npm/c@1", "ISC")))
    after = packages.of_bill(bill(("pkg:npm/a@1", "MIT"), ("pkg:npm/d@1", "MIT"), ("pkg:npm/e@1", "GPL-3.0-only")))

    changes = packages.license_changes(before, after)

    assert [(change.license, change.change, change.packages) for change in changes] == [
        ("GPL-3.0-only", "came", ("pkg:npm/e",)),
        ("ISC", "went", ("pkg:npm/b", "pkg:npm/c")),
    ]
