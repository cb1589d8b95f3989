"""What differs between two releases, computed from what was read of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from build.gates.verdict import SKIPPED, GateVerdict
from build.git.between import Between
from build.images.data_formats import DataFormat
from build.release.difference import (
    ReadImage,
    ReleaseDifference,
    ServiceDifference,
    Side,
    ValueChange,
    compare,
)
from build.release.gate_changes import RecordedFindings
from build.release.record import Record, RecordedBase, RecordedService
from tests.support.records import record

SUITES = ("trixie-security of 2026-11-28",)
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def image(size: int = 100, **settings: str) -> ReadImage:
    """An image that says these settings."""
    return ReadImage(size=size, settings=settings, data={})


def bill(*purls: str, trivy: str = "0.76.0") -> dict[str, Any]:
    """A bill of materials as Trivy writes it."""
    tools = {"components": [{"name": "trivy", "version": trivy}]}
    return {"metadata": {"tools": tools}, "components": [{"type": "library", "purl": purl} for purl in purls]}


def side(version: str, digest: str = OLD, **changes: Any) -> Side:
    """A release of `web` with this image; `changes` are of its record, or of what was read."""
    base = record(version)
    read = {name: changes.pop(name) for name in ("images", "bills", "lost", "unbilled") if name in changes}
    services = changes.pop("services", {"web": replace(base.services["web"], digest=digest)})
    return Side(record=replace(base, services=services, **changes), **read)


def web(difference: ReleaseDifference) -> ServiceDifference:
    """What differs in its one service."""
    (service,) = difference.services
    return service


def test_services_come_go_change_and_stay() -> None:
    """Each service of either release is listed once, as its digest has it."""
    stays, changes = record().services["web"], replace(record().services["web"], digest=NEW)
    before = side("1.3.2", services={"stays": stays, "goes": stays, "changes": stays})
    after = side("1.4.0", services={"stays": stays, "changes": changes, "comes": changes})

    difference = compare(before, after, Between())

    assert {service.service: service.change for service in difference.services} == {
        "stays": "same", "goes": "went", "changes": "changed", "comes": "came",
    }  # fmt: skip
    assert [service.service for service in compare(before, after, Between(), ["comes", "stays"]).services] == [
        "stays", "comes",
    ]  # fmt: skip


def test_sizes_are_by_platform() -> None:
    """A platform that only one side has is a size without the other."""
    before = side("1.3.2", images={"web": {"linux/amd64": image(100), "linux/arm/v7": image(80)}})
    after = side("1.4.0", NEW, images={"web": {"linux/arm64": image(90), "linux/amd64": image(120)}})

    sizes = web(compare(before, after, Between())).sizes

    assert [(size.platform, size.before, size.after) for size in sizes] == [
        ("linux/amd64", 100, 120), ("linux/arm/v7", 80, None), ("linux/arm64", None, 90),
    ]  # fmt: skip


def test_settings_are_of_a_platform_that_both_have() -> None:
    """An image of one more platform has not changed for those who run the other."""
    before = side("1.3.2", images={"web": {"linux/amd64": image(user="1", shell="x")}})
    after = side("1.4.0", NEW, images={"web": {"linux/arm64": image(user="9"), "linux/amd64": image(user="2", env="")}})

    assert web(compare(before, after, Between())).settings == (
        ValueChange(name="env", before=None, after=""),
        ValueChange(name="shell", before="x", after=None),
        ValueChange(name="user", before="1", after="2"),
    )


def test_what_could_not_be_read_is_not_the_same() -> None:
    """Where an image or a bill of materials is missing, that part is unknown, by name, and the rest is compared."""
    before = side("1.3.2", unbilled={"web": "no bill"}, images={"web": {"linux/amd64": image()}})
    after = side("1.4.0", NEW, bills={"web": bill("pkg:npm/a@1")}, lost={"web": "lost"})

    difference = web(compare(before, after, Between()))

    assert (difference.settings, difference.packages, difference.licenses) == (None, None, None)
    assert difference.notes == ("lost", "no bill")
    assert difference.change == "changed"


def test_one_digest_has_one_content() -> None:
    """The same image has the same packages, also where only one release has its bill of materials, or a newer Trivy's."""
    known = side("1.4.0", bills={"web": bill("pkg:npm/a@1", trivy="0.77.0")})

    for before in (side("1.3.2", unbilled={"web": "no bill"}), side("1.3.2", bills={"web": bill()})):
        difference = web(compare(before, known, Between()))
        assert (difference.packages, difference.licenses, difference.settings, difference.notes) == ((), (), (), ())


def test_another_scanner_is_said() -> None:
    """What another Trivy recognises may be what came."""
    before = side("1.3.2", bills={"web": bill("pkg:npm/a@1", trivy="0.75.0")})
    after = side("1.4.0", NEW, bills={"web": bill("pkg:npm/a@2")})

    difference = web(compare(before, after, Between()))

    assert [change.package for change in difference.packages or ()] == ["pkg:npm/a"]
    assert ["trivy 0.75.0 and trivy 0.76.0" in note for note in difference.notes] == [True]


@pytest.mark.parametrize(
    ("gates", "findings"),
    [
        ({}, RecordedFindings(scan="none", vulnerabilities_checked=False, counts=None)),
        ({"scan": SKIPPED}, RecordedFindings(scan="skipped", vulnerabilities_checked=False, counts=None)),
        (
            {"scan": GateVerdict(verdict="passed", vulnerabilities_checked=True)},
            RecordedFindings(scan="passed", vulnerabilities_checked=True, counts=None),
        ),
        (
            {"scan": GateVerdict(verdict="passed", findings={"web": {"HIGH": 2}})},
            RecordedFindings(scan="passed", vulnerabilities_checked=False, counts={"HIGH": 2}),
        ),
        (
            {"scan": GateVerdict(verdict="passed", security_suites=SUITES)},
            RecordedFindings(scan="passed", vulnerabilities_checked=False, counts=None, outdated=()),
        ),
        (
            {"scan": GateVerdict(verdict="passed", security_suites=SUITES, outdated={"web": ("a 1, there 2",)})},
            RecordedFindings(scan="passed", vulnerabilities_checked=False, counts=None, outdated=("a 1, there 2",)),
        ),
    ],
)
def test_findings_are_as_the_record_has_them(gates: dict[str, GateVerdict], findings: RecordedFindings) -> None:
    """Not counted, not checked and skipped are shown as different from no findings."""
    assert web(compare(side("1.3.2", gates=gates), side("1.4.0"), Between())).findings_before == findings


def test_gates_have_their_verdicts_and_waivers() -> None:
    """A gate that was skipped, left something out or let something through is listed on both sides."""
    before = {"scan": GateVerdict(verdict="passed", vulnerabilities_checked=True, waivers=("A", "B")), "old": SKIPPED}
    after = {
        "scan": GateVerdict(verdict="passed", waivers=("B", "C"), vex=("D",)),
        "new": GateVerdict(verdict="passed"),
    }

    gates = compare(side("1.3.2", gates=before), side("1.4.0", gates=after), Between()).gates

    assert (gates[0].vex_came, gates[0].vex_went) == (("D",), ())
    assert [(gate.gate, gate.before, gate.after, gate.waivers_came, gate.waivers_went) for gate in gates] == [
        ("scan", "passed", "passed; vulnerabilities NOT checked", ("C",), ("A",)),
        ("old", "skipped", "", (), ()),
        ("new", "", "passed", (), ()),
    ]


def test_what_gates_could_not_check_is_compared() -> None:
    """A note or a security suite that only one of two releases has is listed, whatever the verdicts are."""
    before = {"scan": GateVerdict(verdict="passed", notes=("x", "y"))}
    after = {"scan": GateVerdict(verdict="passed", notes=("y", "z"), security_suites=SUITES)}

    (gate,) = compare(side("1.3.2", gates=before), side("1.4.0", gates=after), Between()).gates

    assert (gate.notes_came, gate.notes_went) == (("z",), ("x",))
    assert (gate.suites_before, gate.suites_after) == ((), SUITES)


def test_outdated_packages_are_compared_only_where_both_scans_asked_a_suite() -> None:
    """Of a release that was compared with no suite nothing is known, which is said; two such releases have no note."""
    asked, silent = (
        {"scan": GateVerdict(verdict="passed", security_suites=suites)} for suites in (SUITES, ())
    )  # fmt: skip

    notes = [
        web(compare(side("1.3.2", gates=before), side("1.4.0", gates=after), Between())).notes
        for before, after in ((silent, asked), (asked, asked), (silent, silent))
    ]

    assert notes == [("outdated packages are not compared: the scan of 1.3.2 asked no security suite",), (), ()]


def _service(**changes: Any) -> dict[str, RecordedService]:
    return {"web": replace(record().services["web"], **changes)}


def test_bases_and_formats_of_data_are_compared() -> None:
    """Another digest of a base is another base; a record of an older toolkit has the formats that its image states."""
    newer = RecordedBase(reference="python:3.13-slim", source="upstream", digest=NEW)
    before = side("1.3.2", services=_service(), images={"web": {"": ReadImage(size=1, settings={}, data={"d": "2"})}})
    after = side(
        "1.4.0", services=_service(digest=NEW, bases={"python": newer}, data={"d": DataFormat(writes=3, reads=2)})
    )

    difference = web(compare(before, after, Between()))

    assert [(base.base, base.before, base.after) for base in difference.bases] == [
        ("python", record().services["web"].bases["python"], newer)
    ]
    assert difference.data == (ValueChange(name="d", before="2", after="3 reads 2"),)


def test_the_tools_of_a_release_are_compared() -> None:
    """What it was built with is in its record, and the commits of other sources with it."""
    tools: tuple[Record, ...] = (record("1.3.2"), replace(record("1.4.0"), tools={"git": "3", "source docs": "c"}))
    before, after = (Side(record=each) for each in tools)

    assert compare(before, after, Between()).tools == (
        ValueChange(name="git", before="2", after="3"),
        ValueChange(name="source docs", before=None, after="c"),
    )
