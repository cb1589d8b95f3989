"""The text of a changelog: what is listed where, links, and that nothing written by hand is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.git.changelog import PREAMBLE, Section, Web, entries, merged, text, web, whole
from build.git.commits import Bump, parse

TYPES: dict[str, Bump] = {"feat": "minor", "fix": "patch", "perf": "patch", "revert": "patch"}
GITHUB = Web(base="https://github.com/a/b")


def section(version: str, *messages: str, before: str = "", line: str = "") -> Section:
    """A released version (or Unreleased for "") with commits of these messages."""
    return Section(
        title=f"{line} {version or 'Unreleased'}".strip(), version=version, line=line or "all",
        tag=f"v{version}" if version else "", before=before, date=1_795_000_000 if version else None,
        commits=tuple(parse(one, commit=f"{number:07x}" + "0" * 33) for number, one in enumerate(messages)),
    )  # fmt: skip


def test_a_section_reads_like_keep_a_changelog() -> None:
    """Headings in their order, breaking changes marked with what breaks, scopes, hashes; commits that bump nothing not."""
    made = section(
        "1.5.0",
        "fix(web): b",
        "feat: a",
        "docs: not listed",
        "Merge branch 'x'",
        "Just text",
        "chore!: c\n\nBREAKING CHANGE: d\ne",
        "fix(security): f",
        before="v1.4.0",
    )

    assert text(made, TYPES, None) == (
        "## [1.5.0] - 2026-11-18\n\n"
        "### Added\n\n- a (0000001)\n\n"
        "### Changed\n\n- **Breaking:** c (0000005)\n  d\n  e\n\n"
        "### Fixed\n\n- **web:** b (0000000)\n\n"
        "### Security\n\n- **security:** f (0000006)\n"
    )


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("feat: x", "Added"),
        ("fix: x", "Fixed"),
        ("perf: x", "Changed"),
        ("refactor!: x", "Changed"),
        ("revert: x", "Changed"),
        ("fix(security): x", "Security"),
        ("docs: x", ""),
        ("Text", ""),
    ],
)
def test_the_heading_of_a_commit(message: str, kind: str) -> None:
    """A commit stands under the heading of its type, if it bumps a version at all."""
    assert list(entries(section("1.0.0", message), TYPES)) == ([kind] if kind else [])


def test_a_release_with_nothing_to_tell_says_so() -> None:
    """A release without a listed commit is not an empty heading; what is unreleased may be."""
    assert "No notable changes." in text(section("1.0.0", "docs: x"), TYPES, None)
    assert text(section(""), TYPES, None) == "## [Unreleased]\n"


@pytest.mark.parametrize(
    ("remote", "base"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b"),
        ("git@github.com:a/b.git", "https://github.com/a/b"),
        ("ssh://git@gitlab.example.com:2222/a/b/c.git", "https://gitlab.example.com/a/b/c"),
        ("https://me:token@codeberg.org/a/b", "https://codeberg.org/a/b"),
        ("https://me:to@ken@codeberg.org/a/b", "https://codeberg.org/a/b"),
        ("/srv/git/github/b.git", None),
        ("file:///srv/git/b.git", None),
        ("https://example.com/a/b.git", None),
        ("host:b.git", None),
        ("", None),
    ],
)
def test_the_web_address_of_a_remote(remote: str, base: str | None) -> None:
    """Only forges whose addresses are known are linked to; a path or an unknown host is not guessed at."""
    found = web(remote)

    assert (found.base if found else None) == base


def test_links_compare_with_the_version_below() -> None:
    """Each heading links to its comparison, the first release to its tag, the unreleased to HEAD; entries to commits."""
    written = whole([section("", "fix: x", before="v1.0.0"), section("1.0.0", "feat: y")], TYPES, GITHUB)

    assert f"- x ([0000000](https://github.com/a/b/commit/{'0' * 40}))" in written
    assert written.endswith(
        "[Unreleased]: https://github.com/a/b/compare/v1.0.0...HEAD\n"
        "[1.0.0]: https://github.com/a/b/releases/tag/v1.0.0\n"
    )
    gitlab = Web(base="https://gitlab.com/a/b", gitlab=True)
    assert "https://gitlab.com/a/b/-/compare/v1.0.0...HEAD" in whole([section("", before="v1.0.0")], TYPES, gitlab)


BY_HAND = """\
# What happened

Our own words.

## Before git

- We had folders.

## [Unreleased]

- of old

## [1.0.0] - 2020-01-01

- also of old

## [0.9.0] - 2019-01-01

- by hand, never tagged

[0.9.0]: https://example.invalid/0.9.0
[1.0.0]: https://example.invalid/of-old
"""


def test_handwritten_sections_stay_where_they_were() -> None:
    """Preamble, foreign sections and their links stay; our own sections and links are written anew."""
    made = [section("", before="v1.1.0"), section("1.1.0", "feat: b", before="v1.0.0"), section("1.0.0", "feat: a")]
    written = merged(BY_HAND, made, TYPES, GITHUB)

    order = ["Our own words.", "## Before git", "## [Unreleased]", "## [1.1.0]", "## [1.0.0]", "## [0.9.0]"]
    assert sorted(order, key=written.index) == order
    assert "of old" not in written
    assert written.count("[1.0.0]: ") == written.count("[0.9.0]: ") == 1


def test_a_new_file_begins_with_the_preamble() -> None:
    """Without a file there is one afterwards that says what it is."""
    assert merged("", [section("1.0.0", "feat: a")], TYPES, None).startswith(PREAMBLE)


def test_a_section_to_be_released_takes_the_unreleased_one_s_place() -> None:
    """Written before its tag exists, a version replaces Unreleased, and stays the same once it is tagged."""
    before = merged(BY_HAND, [section("", "feat: a")], TYPES, None)
    preview = merged(before, [section("1.1.0", "feat: a")], TYPES, None)

    assert "[Unreleased]" not in preview
    assert preview.index("## Before git") < preview.index("## [1.1.0]") < preview.index("## [0.9.0]")
    assert merged(preview, [section("1.1.0", "feat: a")], TYPES, None) == preview


def test_services_have_sections_of_their_own() -> None:
    """On lines of their own, two services may have the same version without mixing."""
    made = [section("", line="api"), section("1.0.0", "feat: a", line="api"), section("1.0.0", "fix: b", line="web")]
    written = merged("", made, TYPES, None)

    assert [one for one in written.splitlines() if one.startswith("## ")] == [
        "## [api Unreleased]",
        "## [api 1.0.0] - 2026-11-18",
        "## [web 1.0.0] - 2026-11-18",
    ]


BLOCK = st.sampled_from(["text", "", "## By hand", "## [0.1.0]", "## [1.0.0]", "## [Unreleased]", "- item", "### Sub"])


@given(st.lists(BLOCK, max_size=12), st.booleans())
def test_writing_twice_is_writing_once(lines: list[str], linked: bool) -> None:
    """Whatever the file held: written again it does not change, and no line of a foreign section is lost."""
    existing = "\n".join(lines)
    made = [section("", "feat: b", before="v1.0.0"), section("1.0.0", "feat: a")]
    page = GITHUB if linked else None
    once = merged(existing, made, TYPES, page)

    assert merged(once, made, TYPES, page) == once
    assert once.count("## By hand") == lines.count("## By hand")
    assert once.count("## [0.1.0]") == lines.count("## [0.1.0]")
