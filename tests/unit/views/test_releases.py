"""Releases as people read them: a skipped gate, a waiver, a stand-in and a yank are said wherever one is listed."""

from __future__ import annotations

import pytest

from build.git.conventional import NearMiss
from build.release.catalog import Release
from build.release.plan import Plan
from build.release.record import Record
from build.release.request import Request
from build.release.yank import Yanked
from build.views import releases
from tests.support.records import record

PLAIN = Release(line="web", version="1.4.0", tag="v1.4.0", state="complete", created="2026-01-02T03:04:05+00:00")


@pytest.mark.parametrize(
    ("made", "title"),
    [
        (record(source="upstream"), "vulnerabilities NOT checked; waived: CVE-1"),
        (record(skipped=True, source="upstream"), "scan SKIPPED; smoke SKIPPED"),
        (record(skipped=True), "scan SKIPPED; smoke SKIPPED; on stand-in bases: python"),
    ],
)
def test_the_title_of_a_release_names_skipped_gates(made: Record, title: str) -> None:
    """What a release did not pass is in its title."""
    assert releases._title(made) == f"web 1.4.0, tag v1.4.0; {title}"


@pytest.mark.parametrize(
    ("options", "remarks"),
    [
        ({}, ""),
        ({"skipped": ("scan", "smoke")}, "scan SKIPPED; smoke SKIPPED"),
        ({"waivers": ("CVE-1", "CVE-2")}, "waived CVE-1, CVE-2"),
        ({"stand_ins": ("python",)}, "stand-ins python"),
        ({"skipped": ("smoke",), "reason": "loses events"}, "smoke SKIPPED; yanked: loses events"),
    ],
)
def test_a_list_says_it_too(options: dict[str, object], remarks: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So does each row of the list of releases."""
    found = Release(**{name: getattr(PLAIN, name) for name in PLAIN.__dataclass_fields__} | options)

    releases.releases([found], json=False)

    assert releases._remarks(found) == remarks
    assert "2026-01-02 03:04" in capsys.readouterr().out


def test_a_float_without_another_candidate_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """After a yank, a float that still names the release is warned of."""
    releases.yanked([Yanked(line="web", versions=("1.4.0",), left=("1.4",))], json=False)

    captured = capsys.readouterr()
    assert "1.4.0 is withdrawn" in captured.out
    assert "1.4 still names 1.4.0: there is no other release for it" in captured.err


def test_v1_a_plan_warns_before_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The view of a plan warns of what looks conventional and is not; as JSON it is part of the plan."""
    miss = NearMiss(commit="c" * 40, header="feat:x", suggestion="feat: x")
    plan = Plan(commit="c" * 40, registry="r", request=Request(), basis={}, nothing="web: nothing", near_misses=(miss,))

    releases.plan(plan)
    shown = capsys.readouterr()
    releases.plan(plan, json=True)

    assert "ccccccc 'feat:x' is not a Conventional Commit: probably 'feat: x'" in shown.err
    assert "nothing to release: web: nothing" in shown.out
    assert '"suggestion": "feat: x"' in capsys.readouterr().out
