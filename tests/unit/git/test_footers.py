"""Where a note on what breaks ends, and that messages survive being parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.git.commits import Commit, parse, standing

YAML = "```yaml\nport: 1\nhost: x\n\nRefs: main\nBREAKING CHANGE: quoted\n```"


@pytest.mark.parametrize(
    ("rest", "notes", "others"),
    [
        ("BREAKING CHANGE: a\nnote: b\nport: 1", ["a\nnote: b\nport: 1"], []),
        ("BREAKING CHANGE: a\n\nBefore: x\nafter: y\n\nMore of it.", ["a\n\nBefore: x\nafter: y\n\nMore of it."], []),
        (f"BREAKING CHANGE: a\n\n{YAML}\n\nSigned-off-by: Me", [f"a\n\n{YAML}"], ["Signed-off-by"]),
        (f"BREAKING CHANGE: a\n\n{YAML.replace('`', '~')}", [f"a\n\n{YAML.replace('`', '~')}"], []),
        ("BREAKING CHANGE: a\n\n    Refs: indented\n\tCloses: too", ["a\n\n    Refs: indented\n\tCloses: too"], []),
        ("BREAKING CHANGE: a\nRefs: #1\nother: b", ["a"], ["Refs", "other"]),
        ("BREAKING CHANGE: a\nb\nCloses #1", ["a\nb"], ["Closes"]),
        ("BREAKING CHANGE: a\n\nTeam: x\nTicket: y", ["a"], ["Team", "Ticket"]),
        ("BREAKING CHANGE: a\n\nTeam: x\nand more", ["a\n\nTeam: x\nand more"], []),
        ("BREAKING CHANGE: a\n\nfree text\nSigned-off-by: Me", ["a\n\nfree text"], ["Signed-off-by"]),
        ("BREAKING CHANGE: a\n\nSigned-off-by: Me\n(cherry picked from commit 1234567)", ["a"], ["Signed-off-by"]),
        ("BREAKING CHANGE: a\n\n(cherry picked from commit 1234567)", ["a"], []),
        ("BREAKING CHANGE: a\n\n---------\n\nCo-authored-by: Me", ["a"], ["Co-authored-by"]),
        ("BREAKING CHANGE: a\nBREAKING-CHANGE: b\nc: d", ["a", "b\nc: d"], []),
        ("BREAKING CHANGE: a\n```\nb: c", ["a\n```\nb: c"], []),
        ("Reviewed-by: Me\nBREAKING CHANGE: a\nx: y", ["a\nx: y"], ["Reviewed-by"]),
    ],
)
def test_v5_a_note_reaches_to_the_next_real_footer(rest: str, notes: list[str], others: list[str]) -> None:
    """In a note only another note, a well-known token or the message's closing trailers end it; code never does."""
    commit = parse(f"fix: x\n\n{rest}")

    assert list(commit.notes) == notes
    assert [token for token, _ in commit.footers if not token.startswith("BREAKING")] == others
    assert commit.breaking


def test_v5_a_note_in_code_is_no_note() -> None:
    """A message that shows in fenced code how a note is written breaks nothing; an unclosed fence hides none."""
    assert not parse(f"docs: x\n\n{YAML}").breaking
    assert parse("docs: x\n\n```\nBREAKING CHANGE: a").notes == ("a",)


@given(
    st.text(max_size=200) | st.text(alphabet="ab:#!()\"'*` \n\r\t-BREAKINGCHS~", max_size=120),
    st.booleans(),
    st.booleans(),
)
def test_v5_any_text_is_parsed(text: str, merge_titles: bool, squash_bodies: bool) -> None:
    """Nothing raises, and what breaks has a note."""
    commit = parse(text, parents=("1", "2"), merge_titles=merge_titles, squash_bodies=squash_bodies)
    commit_alone = parse(text, merge_titles=merge_titles, squash_bodies=squash_bodies)

    for one in (commit, commit_alone):
        assert bool(one.notes) == one.breaking or not one.description
        assert isinstance((one.body, one.footers, one.reverts, one.subjects, one.undone, one.number), tuple)
        standing([one, one])


WORD = st.text(alphabet="abcdefgh", min_size=1, max_size=8)
PROSE = st.lists(WORD, min_size=1, max_size=5).map(" ".join)
PARAGRAPHS = st.lists(PROSE, max_size=3).map("\n\n".join)
TOKEN = st.sampled_from(["Refs", "Closes", "Reviewed-by", "Signed-off-by", "BREAKING CHANGE", "BREAKING-CHANGE"])


@given(
    st.sampled_from(["feat", "fix", "docs", "custom"]), st.just("") | WORD, st.booleans(), PROSE, PARAGRAPHS,
    st.lists(st.tuples(TOKEN, PARAGRAPHS.filter(bool)), max_size=4),
)  # fmt: skip
def test_v5_what_is_written_is_what_is_read(
    kind: str, scope: str, mark: bool, description: str, body: str, footers: list[tuple[str, str]]
) -> None:
    """Type, scope, mark, description, body and footers survive writing and parsing."""
    header = f"{kind}{f'({scope})' if scope else ''}{'!' if mark else ''}: {description}"
    trailers = "\n".join(f"{token}: {value}" for token, value in footers)
    read: Commit = parse("\n\n".join(part for part in (header, body, trailers) if part))

    notes = tuple(value for token, value in footers if token.startswith("BREAKING"))
    assert (read.type, read.scope, read.description) == (kind, scope, description)
    assert (read.body, read.footers) == (body, tuple(footers))
    assert read.breaking == (mark or bool(notes))
    assert read.notes == (notes or ((description,) if mark else ()))
