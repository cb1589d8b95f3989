"""First lines that look like Conventional Commits and are not: what was probably meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.config.manifest import ReleaseSettings
from build.git.commits import parse
from build.git.conventional import near_misses, warnings
from build.git.headers import HEADER, looks_conventional


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("refactor!(api): x", "refactor(api)!: x"),
        ("feat!(api): x", "feat(api)!: x"),
        ("feat (x): y", "feat(x): y"),
        ("feat(x) : y", "feat(x): y"),
        ("feat(): y", "feat: y"),
        ("feat:x", "feat: x"),
        ("feat(api)!:x", "feat(api)!: x"),
        ("feat:\tx", "feat: x"),
        ("feat:! x", "feat!: x"),
        ("feat!!: x", "feat!: x"),
        ("feat(api!): x", "feat(api)!: x"),
        ("Feat : x", "feat: x"),
        ("✨ feat: x", "feat: x"),
        ("✨feat: x", "feat: x"),
        (":sparkles: feat: x", "feat: x"),
        ("👩\u200d💻 feat: by 👩\u200d💻", "feat: by 👩\u200d💻"),
        ("\ufefffeat: x", "feat: x"),
        ("\u200bfeat!: x", "feat!: x"),
        ("fe\u200bat: x", "feat: x"),
        ("\xa0feat: x", "feat: x"),
        (" feat: x", "feat: x"),
        ("feat:\xa0x", "feat: x"),
        ("feat\uff1a x", "feat: x"),
        ("feat\uff1ax", "feat: x"),
        ("feat\uff08api\uff09\uff01: x", "feat(api)!: x"),
        ("[feat] x", "feat: x"),
        ("[feat]: x", "feat: x"),
        ("(feat) x", "feat: x"),
        ("feat(api) x", "feat(api): x"),
        ("feat(api: x", "feat(api): x"),
        ("feat[api]: x", "feat(api): x"),
        ("feat/api: x", "feat(api): x"),
        ("feat(a)(b): x", "feat(a, b): x"),
        ("feat - x", "feat: x"),
        ("feat – x", "feat: x"),
        ("feat; x", "feat: x"),
        ("**feat**: x", "feat: x"),
        ('"feat: x"', "feat: x"),
        ("- feat: x", "feat: x"),
        ("PROJ-12 feat: x", "feat: x"),
        ("[PROJ-12] feat!: x", "feat!: x"),
        ("#12 feat: x", "feat: x"),
        ("WIP: feat: x", "feat: x"),
        ("Merged PR 12: feat: x", "feat: x"),
        ("feature: x", "feat: x"),
        ("bug fix: x", "fix: x"),
        ("faet: x", "feat: x"),
        ("feat:", "feat: …"),
    ],
)  # fmt: skip
def test_v1_a_header_that_looks_conventional_is_named_with_what_it_should_be(header: str, meant: str) -> None:
    """Marks, scopes, spaces, signs and characters in the wrong place: the repair keeps type, scope, mark and text."""
    assert looks_conventional(header) == meant


@pytest.mark.parametrize(
    "header",
    [
        "feat: x", "Fix(api)!: x", "feat(a/b, c): x", "note: x", "net: fix the cache", "deps: x", "format: x", "feat-x: y",
        "fix the bug", "Fix issue: the bug", "fix (again) the bug", "test the build", "Update docs", "docs://x",
        "Merge branch 'fix'", "Release 1.0 - docs", "PROJ-1: fix the bug", "🐛 Fix bug", "", " ", "✨", "(", "feat",
    ],
)  # fmt: skip
def test_v1_other_headers_are_left_alone(header: str) -> None:
    """What is conventional, of whatever type, and what is a sentence gets no suggestion."""
    assert looks_conventional(header) == ""


@given(st.text(max_size=60) | st.text(alphabet="feat(x)!: -[]\ufeff\xa0\uff1a✨'\"*/#12\n", max_size=30))
def test_v1_a_suggestion_is_conventional(text: str) -> None:
    """For any text there is no error, and what is suggested would be accepted."""
    meant = looks_conventional(text)

    assert not meant or (HEADER.match(meant) and looks_conventional(meant) == "")


def test_v1_near_misses_of_a_release() -> None:
    """Only commits that were probably meant otherwise are named, by hash, header and repair; merges are not."""
    messages = ["fix: a", "refactor!(api): b", "Merge branch 'fix - x'", "Just text", "faet: c", "custom: d"]
    commits = [parse(message, commit=f"{number}" * 40) for number, message in enumerate(messages)]
    found = near_misses(commits, ReleaseSettings(types={"feat": "minor", "custom": "patch"}))

    assert [(miss.commit[:1], miss.header, miss.suggestion) for miss in found] == [
        ("1", "refactor!(api): b", "refactor(api)!: b"),
        ("4", "faet: c", "feat: c"),
    ]
    assert str(found[0]) == "1111111 'refactor!(api): b' is not a Conventional Commit: probably 'refactor(api)!: b'"


def test_v1_invisible_characters_are_shown() -> None:
    """A warning shows a byte order mark, or nobody would see what is wrong."""
    (miss,) = near_misses([parse("\ufefffix: a", commit="1" * 40)], ReleaseSettings())

    assert r"'\ufefffix: a'" in str(miss)


def test_v1_a_long_list_of_warnings_is_cut() -> None:
    """Ten are shown, then the number of the others; one that two lines of versions share is shown once."""
    misses = near_misses([parse(f"feat:{n}", commit=f"{n:040x}") for n in range(12)], ReleaseSettings())
    lines = warnings([*misses, *misses])

    assert len(lines) == 11
    assert lines[-1] == "2 more headers like these: ./inv commits.check"
