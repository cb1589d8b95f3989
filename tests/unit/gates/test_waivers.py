"""Waivers by rule alone: what is refused in their file, when they end, and which are of no use."""

from __future__ import annotations

from datetime import date

import pytest

from build.errors import ManifestError
from build.gates.scan import waivers
from build.gates.scan.waivers import Waiver

GOOD = "vulnerabilities:\n- {id: CVE-1, expired_at: 2027-01-31, statement: not reached, purls: ['pkg:pypi/a']}\n"


def test_a_waiver_is_read() -> None:
    """Kind, id, end and reason."""
    assert waivers.parse(GOOD, "w.yaml") == (
        Waiver(kind="vulnerability", id="CVE-1", expired_at=date(2027, 1, 31), statement="not reached"),
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "secrets: []\n"])
def test_a_file_may_hold_no_waiver(text: str) -> None:
    """An empty file waives nothing."""
    assert waivers.parse(text, "w.yaml") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secrets:\n- {id: a, statement: b}", r"w.yaml: secrets\[0\].expired_at \(a\): missing"),
        ("secrets:\n- {id: a, expired_at: 2027-01-31}", r"secrets\[0\].statement: missing"),
        ("secrets:\n- {id: a, expired_at: 2027-01-31, statement: ' '}", r"secrets\[0\].statement: missing"),
        ("secrets:\n- {expired_at: 2027-01-31, statement: b}", r"secrets\[0\].id: missing"),
        (
            "secrets:\n- {id: a, expired_at: '2027-01-31', statement: b}",
            "expected a date, unquoted, found '2027-01-31'",
        ),
        ("secrets:\n- {id: a, expired_at: 2027-01-31T00:00:00Z, statement: b}", "expected a date, unquoted"),
        ("secrets:\n- {id: a, expired_at: never, statement: b}", "expected a date, unquoted, found 'never'"),
        (GOOD.replace("purls", "purl"), r"vulnerabilities\[0\].purl: unknown key \(did you mean 'purls'\?\)"),
        ("secret:\n- {id: a}", r"secret: unknown section \(did you mean 'secrets'\?\)"),
        ("secrets: a", "secrets: expected a list"),
        ("secrets: [a]", r"secrets\[0\]: expected keys and values"),
        ("- CVE-1", "the file: expected keys and values"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_careless_waiver_is_refused_by_its_place(text: str, words: str) -> None:
    """Trivy would pass over each of these, or waive more than was meant."""
    with pytest.raises(ManifestError, match=words) as refusal:
        waivers.parse(text, "w.yaml")
    assert refusal.value.hint


@pytest.mark.parametrize(("day", "expired"), [(30, False), (31, True)])
def test_a_waiver_ends_as_its_day_begins(day: int, expired: bool) -> None:
    """As Trivy counts it."""
    (waiver,) = waivers.parse(GOOD, "w.yaml")

    assert waiver.is_expired(date(2027, 1, day)) is expired


@pytest.mark.parametrize(
    ("used", "kinds", "today", "named"),
    [
        ([], ["vulnerability"], date(2027, 1, 1), True),
        ([("vulnerability", "CVE-1", "not reached")], ["vulnerability"], date(2027, 1, 1), False),
        ([("vulnerability", "CVE-1", "another reason")], ["vulnerability"], date(2027, 1, 1), True),
        ([], ["secret"], date(2027, 1, 1), False),
        ([], ["vulnerability"], date(2027, 2, 1), False),
    ],
    ids=["unmatched", "matched", "another of the same id", "not scanned for", "expired"],
)
def test_a_waiver_without_a_finding_is_unused(
    used: list[tuple[str, str, str]], kinds: list[str], today: date, named: bool
) -> None:
    """Named so that it is taken out, unless nobody looked for its kind, or it has ended anyway."""
    assert bool(waivers.unused(waivers.parse(GOOD, "w.yaml"), used, kinds, today)) is named
