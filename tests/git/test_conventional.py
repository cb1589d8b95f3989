"""The commit message check, on real commits and as a hook calls it."""

from __future__ import annotations

import pytest

from build.git.conventional import reasons, types
from tests.support.project import Project

KNOWN = ("feat", "fix", "docs")


@pytest.mark.parametrize(
    "message",
    [
        "feat: add a port",
        "Fix(api)!: drop a key",
        "docs: x\n\nBREAKING CHANGE: the key is gone\n",
        "Merge branch 'main' into topic",
        'Revert "feat: add a port"\n\nThis reverts commit 1234567.',
    ],
)
def test_a_conventional_commit_has_no_fault(message: str) -> None:
    """A type in any case, merges and git's own reverts are accepted."""
    assert list(reasons(message, KNOWN)) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Add a port", "expected type(scope): description"),
        ("faet: add a port", "unknown type 'faet' (did you mean 'feat'?)"),
        ("feat:add a port", "a space is missing after the colon"),
        ("feat(api)!:add", "a space is missing after the colon"),
        ("\n\n", "empty: expected type(scope): description"),
        ("fix: x\n\nbreaking change: y", "'breaking change: y' breaks nothing: write BREAKING CHANGE: and what breaks"),
        ("fix: x\n\nBREAKING CHANGE y", "'BREAKING CHANGE y' breaks nothing: write BREAKING CHANGE: and what breaks"),
        ("fixup! feat: x", "to be squashed: git rebase --interactive --autosquash"),
    ],
)
def test_what_breaks_the_rules_is_named(message: str, reason: str) -> None:
    """Each kind of mistake has its own message."""
    assert list(reasons(message, KNOWN)) == [reason]


def test_types_of_the_manifest_count(project: Project) -> None:
    """A type listed in [release.types] is allowed."""
    project.append('\n[release.types]\nmodule = "minor"\n')

    assert {"module", "docs", "ci"} <= set(types(project.load().release))


def test_only_what_came_after_the_first_conventional_commit_is_checked(project: Project) -> None:
    """Older history stays as it is; a later commit that breaks the rules is named with its hash, exit code 3."""
    since = project.commit("Whatever it was")
    project.append(f'\n[release]\nconventional_since = "{since}"\n')
    project.commit("feat: begin")

    accepted = project.inv("commits.check")
    wrong = project.commit("Forgot it")
    refused = project.inv("commits.check")
    other = project.inv("commits.check", "--range", "HEAD~1")

    assert (accepted.code, refused.code, other.code) == (0, 3, 3)
    assert f"{wrong[:7]} 'Forgot it': expected type(scope): description" in refused.stderr
    assert "Whatever it was" in other.stderr


def test_unknown_revisions_are_refused(project: Project) -> None:
    """A range that this clone does not have is an error, not an empty range."""
    ran = project.inv("commits.check", "--range", "nowhere..HEAD")

    assert ran.code == 3
    assert "git knows no commits nowhere..HEAD" in ran.stderr


def test_a_hook_s_message_is_read_without_comments_and_diff(project: Project) -> None:
    """Git's comments and diff are not part of the message; a fixup is accepted until it is shared."""
    good = project.write(
        "good", "fixup! feat: x\n# feat: y\n# ------------------------ >8 ------------------------\nno\n"
    )
    bad = project.write("bad", "# a comment\nno type\n")

    assert project.inv("commits.check", "--message", str(good)).code == 0
    ran = project.inv("commits.check", "--message", str(bad))
    assert ran.code == 3
    assert "'no type': expected" in ran.stderr
    assert project.inv("commits.check", "--message", str(bad) + "x").code == 3
