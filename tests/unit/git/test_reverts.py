"""What a revert without a hash takes back: by the number of the request, else by its subject."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.git.commits import Bump, Commit, bump_of, parse, standing

TYPES: dict[str, Bump] = {"feat": "minor", "fix": "patch", "revert": "patch"}


def history(*messages: str) -> list[Commit]:
    """Commits newest first, of messages oldest first."""
    commits = [
        parse(message, commit=f"{number:040x}", parents=(f"{number - 1:040x}",))
        for number, message in enumerate(messages)
    ]
    return commits[::-1]


def left(*messages: str) -> list[str]:
    """What stands, oldest first."""
    return [commit.header for commit in reversed(standing(history(*messages)))]


ORIGINAL = "feat!: a (#11)"
UNDO = 'Revert "feat!: a (#11)" (#12)\n\nReverts owner/repo#11'


@pytest.mark.parametrize(
    "revert",
    [
        UNDO,
        'Revert "feat!: a" (#12)\n\nReverts owner/repo#11',
        'Revert "feat!: a" (#12)\n\nReverts #11',
        'Revert "feat!: a (#11)" (#12)',
        'Revert "feat!: a (#11)"',
        'Revert "feat!: a"',
        'Revert "feat!: a"\n\nThis reverts merge request !11',
        'Revert "feat!: a"\n\nThis reverts merge request group/project!11',
        'Revert "Merged PR 11: feat!: a"\n\nReverts !11',
        "revert: feat!: a (#11)",
        "revert: drop it again (#12)\n\nReverts owner/repo#11",
        "fix: do without it\n\nReverts owner/repo#11.",
    ],
)
def test_v2_a_squashed_revert_cancels_its_original(revert: str) -> None:
    """The forms of GitHub, GitLab, Azure DevOps and people: by number or subject, both go, and nothing else."""
    if revert.startswith(("revert: drop", "fix:")):  # no subject is quoted: the number alone
        assert left("fix: b (#10)", ORIGINAL, "feat: a (#9)", revert) == ["fix: b (#10)", "feat: a (#9)"]
    else:
        assert left("fix: b (#10)", ORIGINAL, revert) == ["fix: b (#10)"]
    assert bump_of(history("fix: b (#10)", ORIGINAL, revert), TYPES) == "patch"


@pytest.mark.parametrize(
    ("messages", "stands"),
    [
        ([ORIGINAL, UNDO, 'Revert "Revert "feat!: a"" (#13)\n\nReverts owner/repo#12'], [ORIGINAL]),
        ([ORIGINAL, UNDO, 'Reapply "feat!: a (#11)" (#13)'], [ORIGINAL]),
        ([ORIGINAL, UNDO, 'Reapply "feat!: a"'], [ORIGINAL]),
        ([ORIGINAL, UNDO, 'Reapply "feat!: a" (#13)', 'Revert "Reapply "feat!: a"" (#14)'], []),
        ([ORIGINAL, UNDO, 'Reapply "feat!: a" (#13)', 'Revert "Revert "Revert "feat!: a"""'], []),
    ],
)
def test_v2_a_revert_of_a_revert_restores_the_original(messages: list[str], stands: list[str]) -> None:
    """`Reapply "…"` and `Revert "Revert "…""` are the same."""
    assert left(*messages) == stands


@pytest.mark.parametrize(
    ("messages", "stands"),
    [
        (["feat: a (#1)", "feat: a (#2)", 'Revert "feat: a"'], ["feat: a (#1)"]),
        (["feat: a (#1)", "feat: a (#2)", 'Revert "feat: a (#1)"'], ["feat: a (#2)"]),
        (["feat: a", 'Revert "feat: a"', "feat: a", 'Revert "feat: a"'], []),
        (["feat: a", 'Revert "feat: a"', "feat: a"], ["feat: a"]),
        (["feat: a", "feat: a", 'Revert "feat: a"'], ["feat: a"]),
        (["feat: a", "feat: a", 'Revert "feat: a"', 'Revert "feat: a"'], []),
    ],
)
def test_v2_only_one_commit_is_cancelled(messages: list[str], stands: list[str]) -> None:
    """Of equal subjects it is the one with the number, else the newest that stands before the revert."""
    assert left(*messages) == stands


@pytest.mark.parametrize(
    "messages",
    [
        ['Revert "feat: a"', "feat: a"],
        ["feat: b", 'Revert "feat: a"'],
        ["feat(x): a", 'Revert "feat: a"'],
        ["feat: b (#11)", 'Revert "feat: a (#11)" (#12)\n\nReverts owner/repo#11'],
        ["feat: a (#10)", 'Revert "feat: a (#11)" (#12)\n\nReverts owner/repo#11'],
        ["feat: a", f'Revert "feat: a"\n\nThis reverts commit {"f" * 40}.'],
        ["feat: a (#11)", "fix: it reverts to the old default\n\nIt reverts #11 in part."],
    ],
)
def test_v2_a_revert_of_what_is_not_there_stays(messages: list[str]) -> None:
    """Later commits, other subjects, other numbers, an older hash, a sentence: nothing is guessed."""
    assert left(*messages) == messages_headers(messages)


def messages_headers(messages: list[str]) -> list[str]:
    """The first lines."""
    return [message.partition("\n")[0] for message in messages]


def test_v2_a_number_finds_the_merge_that_brought_the_request_in() -> None:
    """The original was merged, not squashed: what the merge brought in goes with it."""
    commits = [
        parse('Revert "feat!: a" (#12)\n\nReverts owner/repo#11', commit="5" * 40, parents=("4" * 40,)),
        parse("Merge pull request #11 from me/topic\n\nfeat!: a", commit="4" * 40, parents=("1" * 40, "3" * 40)),
        parse("fix: of the topic", commit="3" * 40, parents=("2" * 40,)),
        parse("feat!: part of a", commit="2" * 40, parents=("1" * 40,)),
        parse("fix: before", commit="1" * 40, parents=("0" * 40,)),
    ]

    assert [commit.header for commit in standing(commits)] == ["fix: before"]


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=12))
def test_v2_by_hash_and_by_number_the_same_stands(plan: list[tuple[int, bool]]) -> None:
    """Whichever way a history of changes and reverts names what it reverts, the same commits stand."""
    by_hash, by_number, titles = [], [], list[str]()
    for number, (target, reverts) in enumerate(plan):
        if reverts and number:
            old = target % number
            titles.append(f'Revert "{titles[old]}"')
            by_hash.append(f"{titles[-1]} (#{number})\n\nThis reverts commit {old:040x}.")
            by_number.append(f"{titles[-1]} (#{number})\n\nReverts owner/repo#{old}")
        else:
            titles.append(f"feat: change {target}")
            by_hash.append(f"{titles[-1]} (#{number})")
            by_number.append(by_hash[-1])

    assert left(*by_number) == left(*by_hash)


def test_v2_a_thousand_nested_reverts_are_read() -> None:
    """A subject of any depth is no error."""
    deep = 'Revert "' * 1500 + "feat: a" + '"' * 1500

    assert len(left("feat: a", deep)) == 2
