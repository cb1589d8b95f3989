"""The rules of .dockerignore as the Dockerfile reference gives them."""

from __future__ import annotations

import pytest

from build.config.load import load
from build.context_walk import sent_from
from build.dockerignore import Rules, rules_of
from build.errors import ManifestError
from tests.support.project import REPOSITORY


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


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("x[ab]", "xa", True),
        ("x[ab]", "xc", False),
        ("x[a-c]", "xb", True),
        ("x[^a-c]", "xb", False),
        ("x[^a-c]", "xd", True),
        ("x[!a]", "x!", True),  # only ^ negates
        ("x[!a]", "xb", False),
        ("x[a\\]]", "x]", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("\\!a", "!a", True),
        ("a\\d", "a7", True),  # what a backslash makes of some letters
        ("a.c$", "a.c$", True),
        ("a+*", "a+b", True),
        ("a+*", "aab", False),
        ("(a)?", "(a)x", True),
        ("a|b*", "axyz", True),  # patternmatcher does not escape it
        ("a|b", "a|b", True),
        ("**foo", "x/barfoo", True),
        ("**e", "a/e", True),
        ("a**", "ab/c", True),
    ],
)
def test_classes_escapes_and_what_is_odd_about_them(rules: str, path: str, out: bool) -> None:
    """Character classes, backslashes, and signs of regular expressions mean what they mean to BuildKit."""
    assert Rules(rules).ignored(path) is out


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        (".", "a", False),
        ("..", "a", False),
        ("/", "a", False),
        ("../a", "a", False),
        ("./a/", "a", True),
        ("b/../a", "a", True),
        ("//a", "a", True),
        ("*\n!/a", "a", False),
        ("*\n!./a/", "a", False),
        ("  # a", "# a", True),  # a comment begins its line
        ("#a", "#a", False),
        ("\ufeffa", "a", True),
        ("a\r\nb\r\n", "b", True),
        ("a\x0bb", "a", False),  # only a line feed ends a line
    ],
)
def test_a_pattern_is_cleaned(rules: str, path: str, out: bool) -> None:
    """Leading and trailing slashes, `.` and `..` are resolved, spaces, a BOM and carriage returns removed."""
    assert Rules(rules).ignored(path) is out


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("a\n!a/b", "a/b", False),
        ("a\n!a/b", "a/c", True),
        ("a\n!a/b", "a/b/c", False),
        ("a/*\n!a/b", "a/b/c", False),
        ("*/f\n!d", "d/f", True),  # the exception was not tried on d, which no rule excludes
        ("d/f\n!d", "d/f", True),
        ("d\n!d", "d/f", False),
        ("**/x\n!a/**", "a/x", False),
    ],
)
def test_what_a_folder_gives_to_what_is_in_it(rules: str, path: str, out: bool) -> None:
    """A rule that matched a folder counts for all that is in it; one that was not tried there does not."""
    assert Rules(rules).ignored(path) is out


@pytest.mark.parametrize("line", ["[", "[]", "[a", "[a-]", "[-a]", "[^]", "a\\", "!", "! ", "!/", "\\q"])
def test_what_docker_refuses_is_refused_with_its_line(line: str) -> None:
    """A line that is no pattern is named with its file and number."""
    with pytest.raises(ManifestError, match=r"^web/\.dockerignore, line 2: ") as caught:
        Rules(f"a\n{line}\n", source="web/.dockerignore")

    assert caught.value.hint == "correct web/.dockerignore"


def test_c1_what_tests_leave_in_a_context_is_not_sent() -> None:
    """Whoever ran the tests of the services still builds the commit: what Python compiled is in no context of ours."""
    manifest = load(REPOSITORY, {})
    folders = [service.folder for service in manifest.services.values()]
    places = [REPOSITORY / folder for folder in (*folders, *(stage.folder for stage in manifest.stages.values()))]
    sent = {
        folder: {path.rpartition("/")[0] for path in sent_from(folder) if path.endswith(".py")} for folder in places
    }
    assert any(sent.values())

    compiled = [(folder, f"{parent}/__pycache__/x.pyc") for folder, parents in sent.items() for parent in parents]

    assert [(folder, path) for folder, path in compiled if not rules_of(folder).ignored(path.lstrip("/"))] == []
