"""The rules of .dockerignore as the Dockerfile reference gives them."""

from __future__ import annotations

import pytest

from build.dockerignore import Rules


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("*", "a.txt", True),
        ("*", "a/b.txt", True),
        ("**", "a/b/c", True),
        ("docs", "docs", True),
        ("docs", "docs/x/a.md", True),
        ("docs", "docs2/a.md", False),
        ("docs", "a/docs/b", False),
        ("/docs/", "docs/a", True),
        ("Xdocs", "Xdocs/a", True),
        ("  docs  ", "docs/a", True),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_covers_a_path_and_everything_below_it(rules: str, path: str, out: bool) -> None:
    """A pattern is anchored at the context's root, and a folder that it matches takes all of its content along."""
    assert Rules(rules).ignored(path) is out


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("*.md", "README.md", True),
        ("*.md", "a/b.md", False),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/x/a.md", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a?c", "a/c", False),
        ("a?c", "abbc", False),
        ("a*c", "ac", True),
        ("a*c", "a/c", False),
        ("?", "ab", False),
        ("a*b*c", "a1b2c", True),
    ],
)
def test_a_star_and_a_question_mark_stay_within_one_name(rules: str, path: str, out: bool) -> None:
    """`*` matches any characters but a slash, `?` exactly one."""
    assert Rules(rules).ignored(path) is out


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("**/*.md", "README.md", True),
        ("**/*.md", "a/b.md", True),
        ("**/*.md", "a/b/c.md", True),
        ("**/*.md", "a/b.txt", False),
        ("**/x", "ax", False),
        ("a/**", "a/b/c", True),
        ("a/**", "b/a/c", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "a/bz", False),
        ("a**z", "a/b/z", True),
        ("a**", "a", True),
        ("a**z", "a/b/y", False),
    ],
)
def test_two_stars_cross_folders(rules: str, path: str, out: bool) -> None:
    """`**` matches any number of folders, none included."""
    assert Rules(rules).ignored(path) is out


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("*\n!keep", "keep/a.txt", False),
        ("*\n!keep", "other/a.txt", True),
        ("*\n!keep\n**/__pycache__", "keep/x/__pycache__/a.pyc", True),
        ("*.md\n!README.md", "README.md", False),
        ("!README.md\n*.md", "README.md", True),
        ("*\n!keep\n!other", "keep/a", False),
        ("*\n! /keep/ ", "keep/a", False),
        ("!keep", "keep", False),
    ],
)
def test_the_last_match_decides(rules: str, path: str, out: bool) -> None:
    """A later rule overrides an earlier one, and `!` brings files back."""
    assert Rules(rules).ignored(path) is out


def test_comments_and_blank_lines_are_no_rules() -> None:
    """Only lines with a pattern count, in their order."""
    rules = Rules("# comment\n\n  \nx\n!y\n")

    assert [(rule.pattern, rule.exception) for rule in rules.rules] == [("x", False), ("y", True)]


def test_without_rules_nothing_is_ignored() -> None:
    """An empty file leaves the whole context in."""
    assert not Rules("").ignored("a/b")
