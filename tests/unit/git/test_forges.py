"""What forges write into merges and squashes, and when it counts."""

from __future__ import annotations

import pytest

from build.git.commits import Bump, Commit, bump_of, parse, standing

TYPES: dict[str, Bump] = {"feat": "minor", "fix": "patch", "revert": "patch"}
TWO = ("1" * 40, "2" * 40)
TITLE = "feat(api)!: a"


@pytest.mark.parametrize(
    ("message", "parents"),
    [
        (f"Merge pull request #12 from me/topic\n\n{TITLE}", TWO),
        (f"{TITLE} (#12)", TWO),
        (f"{TITLE} (#12)\n\nThe description of the request.", TWO),
        (f"Merge branch 'topic' into 'main'\n\n{TITLE}\n\nCloses #3\n\nSee merge request group/project!12", TWO),
        (f"Merge branch 'topic' into 'main'\n\n{TITLE}\n\nSee merge request group/project!12", ()),
        (f"Merge pull request '{TITLE}' (#12) from topic into main\n\nReviewed-on: https://git.example/12", TWO),
        (f"Merged in topic (pull request #12)\n\n{TITLE}\n\nApproved-by: Me", TWO),
        (f"Pull request #12: {TITLE}\n\nMerge in PROJ/repo from topic to main\n\n* commit '1234567':\n  wip", TWO),
        (f"Merged PR 12: {TITLE}\n\nRelated work items: #3", TWO),
        (f"Merged PR 12: {TITLE}", ("1" * 40,)),
    ],
    ids=["github", "github-title", "github-description", "gitlab", "gitlab-shallow", "gitea", "bitbucket",
         "bitbucket-data-center", "azure", "azure-squash"],
)  # fmt: skip
def test_v3_a_merge_counts_by_the_title_of_its_request(message: str, parents: tuple[str, ...]) -> None:
    """In each forge's form the title has type, scope and mark; the number is that of the request, and off it is off."""
    on = parse(message, commit="5" * 40, parents=parents, merge_titles=True)
    off = parse(message, commit="5" * 40, parents=parents)

    assert (on.type, on.scope, on.breaking, on.number) == ("feat", "api", True, "12")
    assert on.description in {"a", "a (#12)"}
    assert standing([on]) == (on,)
    assert bump_of([on], TYPES) == "major"
    assert bump_of([off], TYPES) == "none"


@pytest.mark.parametrize(
    "message",
    [
        "Merge branch 'main' into topic",
        "Merge branch 'main' into topic\n\n# Conflicts:\n#\tfile",
        "Merge pull request #12 from me/topic\n\nTidy up",
        "Merge tag 'v1.0.0' into main\n\nfeat: of the tag's own message",
    ],
)
def test_v3_a_merge_without_such_a_title_does_not_count(message: str) -> None:
    """A merge of main into a topic, of a tag, and a title in other words stay merges."""
    assert standing([parse(message, parents=TWO, merge_titles=True)]) == ()


def test_v3_a_description_counts_with_its_footers() -> None:
    """With title and description as the message, a note in the description is a note."""
    merge = parse("Tidy up (#12)\n\nBREAKING CHANGE: the port", commit="5" * 40, parents=TWO, merge_titles=True)

    assert (merge.breaking, merge.notes, bump_of([merge], TYPES)) == (True, ("the port",), "major")


def _merged(title: str, *, merge_titles: bool = True) -> list[Commit]:
    parents = {"5": ("2", "4"), "4": ("3",), "3": ("1",), "2": ("1",), "1": ()}
    texts = {"5": f"Merge pull request #12 from me/topic\n\n{title}", "4": "fix: b", "3": "feat: a", "2": "fix: c"}
    return [
        parse(texts.get(number, "fix: start"), commit=number * 40, parents=tuple(one * 40 for one in parents[number]),
              merge_titles=merge_titles)
        for number in "54321"
    ]  # fmt: skip


def test_v3_a_title_that_a_commit_of_the_request_has_counts_once() -> None:
    """The request of one commit is titled like the commit: it is one entry, not two; any other title is its own."""
    assert [commit.header for commit in standing(_merged("feat: a"))] == ["fix: b", "feat: a", "fix: c", "fix: start"]
    assert standing(_merged("feat: other"))[0].header == "feat: other"
    assert standing(_merged("fix: c"))[0].header == "fix: c"  # that of another branch


@pytest.mark.parametrize("merge_titles", [False, True])
def test_v3_a_reverted_request_takes_its_title_along(merge_titles: bool) -> None:
    """A revert by number cancels the merge with its title and its commits, whatever the setting."""
    undo = parse('Revert "feat!: z" (#13)\n\nReverts me/repo#12', commit="6" * 40, parents=("5" * 40,))
    commits = standing([undo, *_merged("feat!: z", merge_titles=merge_titles)])

    assert [commit.header for commit in commits] == ["fix: c", "fix: start"]


GITHUB = """\
All of it (#12)

* feat: a

Why it was needed.
* a list of its own
* feat of engineering

* wip

* fix(web)!: b

BREAKING CHANGE: the port

* Revert "feat: old"

This reverts commit 0000000000000000000000000000000000000009.

---------

Co-authored-by: Me <me@example.invalid>
"""
GITLAB = """\
All of it

* feat: a

  Why it was needed.

* fix(web)!: b

  BREAKING CHANGE: the port

* wip

See merge request group/project!12
"""


@pytest.mark.parametrize("message", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_v4_a_squash_is_read_as_the_commits_that_it_lists(message: str) -> None:
    """Each listed Conventional Commit counts with its own scope, mark, body and footers, newest first."""
    squash = parse(message, commit="5" * 40, parents=("4" * 40,), squash_bodies=True)
    listed = {(item.type, item.scope, item.description): item for item in squash.items}

    fix, feat = listed["fix", "web", "b"], listed["feat", "", "a"]
    assert squash.items.index(fix) < squash.items.index(feat)
    assert (fix.notes, fix.commit, feat.body.splitlines()[0]) == (("the port",), squash.commit, "Why it was needed.")
    assert bump_of([squash], TYPES) == "major"
    assert bump_of([parse(message)], TYPES) == ("major" if message is GITHUB else "none")
    assert "wip" in squash.rest
    assert not squash.breaking


def test_v4_the_title_counts_beside_its_list_once() -> None:
    """The title is a commit too; a listed commit that says the same is not another."""
    squash = parse("feat: a (#1)\n\n* feat: a\n\n* fix: b", commit="5" * 40, squash_bodies=True)

    assert [commit.header for commit in standing([squash])] == ["feat: a (#1)", "fix: b"]


def test_v4_a_revert_of_a_squash_takes_its_list_along() -> None:
    """By number, and by hash."""
    squash = parse("All (#1)\n\n* feat: a\n\n* fix: b", commit="5" * 40, squash_bodies=True)

    for body in ("Reverts me/repo#1", f"This reverts commit {'5' * 40}."):
        undo = parse(f'Revert "All" (#2)\n\n{body}', commit="6" * 40)
        assert standing([undo, squash]) == ()


def test_v4_a_listed_revert_takes_back_what_was_listed_before_it() -> None:
    """Inside a squash, and in the history before it."""
    text = '\n\n* feat: a\n\n* Revert "feat: a"\n\n* Revert "feat: old"'
    squash = parse(f"Things (#1){text}", commit="5" * 40, squash_bodies=True)

    assert [commit.header for commit in standing([squash, parse("feat: old", commit="4" * 40)])] == ["Things (#1)"]


@pytest.mark.parametrize(
    "message",
    ["fix: x\n\ntext\n* feat: no item", "fix: x\n\n```\n\n* feat: code\n```", "fix: x\n\n- feat: another list"],
)
def test_v4_other_lists_are_text(message: str) -> None:
    """A list inside a paragraph, inside code or with another sign is not that of a squash."""
    assert parse(message, squash_bodies=True).items == ()
