"""A comparison of two releases as people read it, and as Markdown that a forge shows."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from build import github
from build.gates.verdict import GateVerdict
from build.git.between import Between, CommitBetween
from build.release.difference import ReadImage, ReleaseDifference, Side, compare
from build.release.gate_changes import RecordedFindings
from build.views import differences
from tests.support.records import record

COMMITS = Between(
    came=(
        CommitBetween(commit="a" * 40, type="feat", scope="api", breaking=True, description="drop `a|b` & <c>"),
        CommitBetween(commit="b" * 40, type="fix", scope="", breaking=False, description="call *it* [x](y) _z_"),
    ),
    went=(CommitBetween(commit="c" * 40, type="", scope="", breaking=False, description="Hotfix"),),
)


def bill(*purls: str) -> dict[str, object]:
    """A bill of materials with these packages, all under one licence."""
    licenses = [{"license": {"id": "MIT"}}]
    return {"components": [{"type": "library", "purl": purl, "licenses": licenses} for purl in purls]}


def difference(commits: Between = COMMITS) -> ReleaseDifference:
    """Two releases of web and api, of which both have changed in the same package."""
    sides = []
    for version, digest, findings in (("1.3.2", "1", {"HIGH": 2}), ("1.4.0", "2", {"HIGH": 0})):
        made = record(version, source="upstream")
        service = replace(made.services["web"], digest="sha256:" + digest * 64)
        scan = GateVerdict(verdict="passed", vulnerabilities_checked=True, findings={"web": findings})
        sides.append(
            Side(
                record=replace(made, services={"web": service, "api": service}, gates={"scan": scan}),
                images={
                    "web": {
                        "linux/amd64": ReadImage(
                            size=int(digest) * 1_500_000, settings={"env A": "`|\\|`" + digest}, data={}
                        )
                    }
                },
                bills={name: bill(f"pkg:npm/%40angular/core@{digest}.0") for name in ("web", "api")},
                lost={"api": "the image is lost"},
            )
        )
    return compare(sides[0], sides[1], commits)


class Cells(HTMLParser):
    """The text of each cell of the tables in a page, and the elements that stand in them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside: set[str] = set()
        self._open = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self._open = True
        elif self._open:
            self.inside.add(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data


def shown(markdown: str) -> Cells:
    """What a reader of the rendered Markdown sees of its tables."""
    cells = Cells()
    cells.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    return cells


def test_people_get_the_services_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each service, then a line for each package with the services that share its change."""
    differences.report([difference()])

    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0] == "web 1.3.2 → 1.4.0: 2 commits more and 1 less, 2 of 2 images changed"
    assert lines[2:4] == ["Images", lines[3]]
    assert [cell.strip() for cell in lines[4].split("  ") if cell] == [
        "web", "changed", "3.0 MB (+1.5 MB)", "1 changed", "2 HIGH → none", "1 changed",
        "sha256:111111111111 → sha256:222222222222",
    ]  # fmt: skip
    assert [line.split() for line in lines if "@angular/core" in line] == [
        ["~", "@angular/core", "npm", "1.0", "2.0", "MIT", "web,", "api"]
    ]
    assert "api: the image is lost" in output.err


def test_markdown_shows_every_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Pipes, backticks, markup and entities in messages, versions and values are text; a package's @ calls nobody."""
    differences.report([difference()], markdown=True)

    page = capsys.readouterr().out
    cells = shown(page)
    assert ["+", "aaaaaaa", "feat", "api", "BREAKING: drop `a|b` & <c>"] in cells.rows
    assert ["+", "bbbbbbb", "fix", "", "call *it* [x](y) _z_"] in cells.rows
    assert ["web", "env A", "`|\\|`1", "`|\\|`2"] in cells.rows
    assert ["~", "@angular/core", "npm", "1.0", "2.0", "MIT", "web, api"] in cells.rows
    assert cells.inside == {"code"}
    assert "`@angular/core`" in page
    assert len({len(row) for row in cells.rows if row[0] in "+-~"}) == 2


def test_markdown_fits_into_a_release(capsys: pytest.CaptureFixture[str]) -> None:
    """GitHub refuses longer notes as a whole, so they end at a row."""
    many = tuple(
        CommitBetween(commit="a" * 40, type="fix", scope="", breaking=False, description=f"change {number} " + "ä" * 80)
        for number in range(2_000)
    )

    differences.report([difference(Between(came=many))], markdown=True)

    page = capsys.readouterr().out
    assert github.NOTES_LIMIT - 300 < len(page) <= github.NOTES_LIMIT
    assert page.splitlines()[-1].startswith("… the rest is left out")
    assert page.splitlines()[-3].endswith("ä |")


@pytest.mark.parametrize(
    ("scan", "checked", "counts", "words"),
    [
        ("passed", True, {"CRITICAL": 0, "LOW": 3, "HIGH": 1}, "1 HIGH, 3 LOW"),
        ("passed", True, {}, "none"),
        ("passed", True, None, "not recorded"),
        ("passed", False, {"HIGH": 1}, "1 HIGH, vulnerabilities NOT checked"),
        ("passed", False, None, "not recorded, vulnerabilities NOT checked"),
        ("skipped", False, None, "scan SKIPPED"),
        ("none", False, None, "no scan"),
    ],
)
def test_what_was_not_checked_is_never_none(
    scan: str, checked: bool, counts: dict[str, int] | None, words: str
) -> None:
    """Only a scan that looked, and whose numbers were recorded, says that it found nothing."""
    findings = RecordedFindings(scan=scan, vulnerabilities_checked=checked, counts=counts)  # type: ignore[arg-type]  # from the table

    assert differences._findings(findings) == words


def test_unknown_commits_are_not_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the clone lacks a commit, the title does not say that there were none."""
    differences.report([difference(Between(unknown="this clone lacks aaaaaaa: git fetch --tags origin"))])

    output = capsys.readouterr()
    assert "web 1.3.2 → 1.4.0: commits not known, " in output.out
    assert "commits: this clone lacks aaaaaaa: git fetch --tags origin" in output.err


def test_what_a_gate_let_through_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Waivers and findings that VEX documents answer are listed separately; a gate as it was before has no row."""
    made = record("1.4.0")
    scan = replace(made.gates["scan"], waivers=("CVE-2",), vex=("CVE-3",))
    after = Side(record=replace(made, gates={"scan": scan, "smoke": made.gates["smoke"]}))

    differences.report([compare(Side(record=record("1.3.2")), after, Between())])

    lines = capsys.readouterr().out.splitlines()
    rows = lines[lines.index("Gates") + 2 : lines.index("Gates") + 4]
    assert rows[0].endswith("+CVE-2, -CVE-1, +CVE-3 (VEX)")
    assert not any(row.startswith("smoke") for row in rows)


def test_packages_that_became_outdated_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """One row for each package that an image has newly outdated, or no more; not for a suite that has moved on."""
    outdated = (
        ("curl 1, there 2", "gone 1, there 2"),
        ("curl 1, there 3", "new 1, there 2"),
    )
    sides = []
    for version, packages in zip(("1.3.2", "1.4.0"), outdated, strict=True):
        made = record(version)
        scan = replace(
            made.gates["scan"], security_suites=(f"suite at {version}",), outdated={"web": packages}, notes=(version,)
        )
        sides.append(Side(record=replace(made, gates={"scan": scan})))

    differences.report([compare(sides[0], sides[1], Between())])

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    rows = lines[lines.index("Outdated packages") + 2 :][:3]
    assert rows == ["+ new 1, there 2 web", "- gone 1, there 2 web", ""]
    assert "scan, security suites suite at 1.3.2 suite at 1.4.0" in lines
    assert lines[lines.index("Notes of gates") + 2 :][:2] == ["+ scan 1.4.0", "- scan 1.3.2"]
    assert any(", 2 outdated" in line for line in lines)
