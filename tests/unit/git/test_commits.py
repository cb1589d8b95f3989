"""Conventional Commits 1.0: the specification's own examples, its rules one by one, and what a revert does."""

from __future__ import annotations

import pytest

from build.git.commits import Bump, Commit, bump_of, parse, standing

TYPES: dict[str, Bump] = {"feat": "minor", "fix": "patch", "perf": "patch", "revert": "patch"}


def told(message: str) -> tuple[str, str, bool, str, str, tuple[tuple[str, str], ...]]:
    """Everything that a message says: type, scope, breaking, description, body, footers."""
    one = parse(message)
    return one.type, one.scope, one.breaking, one.description, one.body, one.footers


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            ("feat: allow provided config object to extend other configs\n\n"
            "BREAKING CHANGE: `extends` key in config file is now used for extending other config files"),
            (
                "feat", "", True, "allow provided config object to extend other configs", "",
                (("BREAKING CHANGE", "`extends` key in config file is now used for extending other config files"),),
            ),
        ),
        (
            "feat!: send an email to the customer when a product is shipped",
            ("feat", "", True, "send an email to the customer when a product is shipped", "", ()),
        ),
        (
            "feat(api)!: send an email to the customer when a product is shipped",
            ("feat", "api", True, "send an email to the customer when a product is shipped", "", ()),
        ),
        (
            ("chore!: drop support for Node 6\n\n"
            "BREAKING CHANGE: use JavaScript features not available in Node 6."),
            (
                "chore", "", True, "drop support for Node 6", "",
                (("BREAKING CHANGE", "use JavaScript features not available in Node 6."),),
            ),
        ),
        ("docs: correct spelling of CHANGELOG", ("docs", "", False, "correct spelling of CHANGELOG", "", ())),
        ("feat(lang): add Polish language", ("feat", "lang", False, "add Polish language", "", ())),
        (
            ("fix: prevent racing of requests\n\n"
            "Introduce a request id and a reference to latest request. Dismiss\n"
            "incoming responses other than from latest request.\n\n"
            "Remove timeouts which were used to mitigate the racing issue but are\n"
            "obsolete now.\n\n"
            "Reviewed-by: Z\nRefs: #123"),
            (
                "fix", "", False, "prevent racing of requests",
                ("Introduce a request id and a reference to latest request. Dismiss\n"
                "incoming responses other than from latest request.\n\n"
                "Remove timeouts which were used to mitigate the racing issue but are\nobsolete now."),
                (("Reviewed-by", "Z"), ("Refs", "#123")),
            ),
        ),
        (
            "revert: let us never again speak of the noodle incident\n\nRefs: 676104e, a215868",
            (
                "revert", "", False, "let us never again speak of the noodle incident", "",
                (("Refs", "676104e, a215868"),),
            ),
        ),
    ],
    ids=["footer", "mark", "scope-mark", "both", "no-body", "scope", "body-footers", "revert"],
)  # fmt: skip
def test_the_specification_s_examples(message: str, expected: object) -> None:
    """Each example of the specification means what the specification says."""
    assert told(message) == expected


@pytest.mark.parametrize(
    ("message", "kind", "scope", "description"),
    [
        ("FEAT: x", "feat", "", "x"),
        ("Fix(Parser): X y", "fix", "Parser", "X y"),
        ("fix(a/b, c): x", "fix", "a/b, c", "x"),
        ("fix:   x  ", "fix", "", "x"),
        ("fix: x\r\n\r\nbody\r\n", "fix", "", "x"),
        ("fix:x", "", "", "fix:x"),
        ("fix : x", "", "", "fix : x"),
        ("fix(): x", "", "", "fix(): x"),
        ("fix(a)(b): x", "", "", "fix(a)(b): x"),
        ("fix!(a): x", "", "", "fix!(a): x"),
        ("fix:", "", "", "fix:"),
        (": x", "", "", ": x"),
        ("two words: x", "", "", "two words: x"),
        ("Just text", "", "", "Just text"),
        ("", "", "", ""),
    ],
)
def test_the_first_line(message: str, kind: str, scope: str, description: str) -> None:
    """Type in any case, an optional scope, a colon and a space; anything else is no Conventional Commit, and no error."""
    one = parse(message)

    assert (one.type, one.scope, one.description) == (kind, scope, description)


@pytest.mark.parametrize(
    ("message", "breaking", "notes"),
    [
        ("fix!: x", True, ("x",)),
        ("fix: x\n\nBREAKING CHANGE: a", True, ("a",)),
        ("fix: x\n\nBREAKING-CHANGE: a", True, ("a",)),
        ("fix!: x\n\nBREAKING CHANGE: a\nBREAKING-CHANGE: b", True, ("a", "b")),
        ("fix: x\n\nbody\n\nRefs: #1\nBREAKING CHANGE: a\n  b\n\nc\nRefs: #2", True, ("a\n  b\n\nc",)),
        ("fix: x\n\nbody\nBREAKING CHANGE: a", True, ("a",)),
        ("fix: x\n\nBREAKING CHANGE:\na", True, ("a",)),
        ("fix: x\r\n\r\nBREAKING CHANGE: a\r\n", True, ("a",)),
        ("Merge of texts\n\nBREAKING CHANGE: a", True, ("a",)),
        ("fix: x\n\nbreaking change: a", False, ()),
        ("fix: x\n\nBREAKING CHANGES: a", False, ()),
        ("fix: x\n\nBREAKING CHANGE a", False, ()),
        ("fix: x\n\nBREAKING CHANGE #1", False, ()),
        ("fix: x\n\nNo BREAKING CHANGE: a", False, ()),
        ("fix: BREAKING CHANGE: a", False, ()),
    ],
)
def test_what_breaks(message: str, breaking: bool, notes: tuple[str, ...]) -> None:
    """A mark, or a footer in upper case with colon and space, breaks; nothing else does."""
    one = parse(message)

    assert (one.breaking, one.notes) == (breaking, notes)


@pytest.mark.parametrize(
    ("rest", "body", "footers"),
    [
        ("a\n\nb", "a\n\nb", ()),
        ("a\nNot-a-footer: b", "a\nNot-a-footer: b", ()),
        ("a\n\nAcked-by: b\nc\n\nd\nRefs #1", "a", (("Acked-by", "b\nc\n\nd"), ("Refs", "#1"))),
        ("a\n\nSee also: b", "a\n\nSee also: b", ()),
        ("a\n\nhttps://example.invalid", "a\n\nhttps://example.invalid", ()),
        ("Refs: #1", "", (("Refs", "#1"),)),
    ],
)
def test_footers_end_the_body(rest: str, body: str, footers: tuple[tuple[str, str], ...]) -> None:
    """Footers begin at a token that opens a paragraph; a value runs on to the next token."""
    one = parse(f"fix: x\n\n{rest}")

    assert (one.body, one.footers) == (body, footers)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "none"),
        (["docs: x", "text"], "none"),
        (["fix: x", "docs: y"], "patch"),
        (["perf: x"], "patch"),
        (["fix: x", "feat: y", "fix: z"], "minor"),
        (["feat: y", "docs!: x"], "major"),
        (["revert: x"], "patch"),
        (['Revert "feat: x"'], "patch"),
    ],
)
def test_the_most_that_is_asked_for_counts(messages: list[str], expected: Bump) -> None:
    """Types bump by the setting, a breaking change of any type bumps the major, and the most counts."""
    assert bump_of([parse(one) for one in messages], TYPES) == expected


def test_types_are_a_setting() -> None:
    """Another table of types bumps otherwise, and a type that it leaves out bumps nothing."""
    assert bump_of([parse("feat: x"), parse("docs: y")], {"docs": "minor"}) == "minor"
    assert bump_of([parse("feat: x")], {"docs": "minor"}) == "none"


def chain(*messages: str) -> list[Commit]:
    """Commits newest first, each on the one after it; {n} in a message is the hash of the n-th, counted from the end."""
    hashes = {str(number): f"{number:040x}" for number in range(len(messages))}
    made = []
    for position, message in enumerate(messages):
        number = len(messages) - 1 - position
        parents = (f"{number - 1:040x}",) if number else ()
        text = message
        for name, full in hashes.items():
            text = text.replace(f"{{{name}}}", full)
        made.append(parse(text, commit=f"{number:040x}", parents=parents))
    return made


OLD = "f" * 40
UNDO = 'Revert "x"\n\nThis reverts commit '


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        ([f"{UNDO}{{0}}.", "feat: x"], []),
        (["fix: y", f"{UNDO}{{0}}.", "feat: x"], ["y"]),
        ([f"{UNDO}{{1}}.", f"{UNDO}{{0}}.", "feat: x"], ["x"]),
        (['Reapply "x"\n\nThis reverts commit {1}.', f"{UNDO}{{0}}.", "feat: x"], ["x"]),
        ([f"{UNDO}{OLD}.", "feat: x"], ['Revert "x"', "x"]),
        ([f"revert: a\n\nThis reverts commit {OLD} and more.\n", "feat: x"], ["a", "x"]),
        (["revert: both\n\nRefs: {0}, {1}", "feat: y", "feat: x"], []),
        ([f"revert: both\n\nRefs: {{0}}, {OLD}", "feat: x"], ["both"]),
        (["fix: x\n\nRefs: {0}", "feat: x"], ["x", "x"]),
        (["docs: says\n\nThis reverts commit {0}.", "feat: x"], []),
    ],
)
def test_a_revert_cancels_a_commit_of_the_same_range(messages: list[str], left: list[str]) -> None:
    """What a revert takes back goes with it; a revert of a revert brings back; a revert of anything older stays."""
    assert [one.description for one in standing(chain(*messages))] == left


def test_a_short_hash_names_one_commit_or_none() -> None:
    """A revert may write seven digits; digits that fit two commits name neither."""
    first, second = parse("feat: a", commit="abcdef1" + "0" * 33), parse("feat: b", commit="abcdef1" + "1" * 33)
    undo = parse("revert: a\n\nRefs: abcdef1", commit="c" * 40)

    assert standing([undo, first]) == ()
    assert standing([undo, second, first]) == (undo, second, first)


@pytest.mark.parametrize(
    "title",
    [
        "Merge branch 'topic'",
        "Merge branch 'topic' into main",
        "Merge remote-tracking branch 'origin/main'",
        "Merge pull request #12 from a/b",
        "Merge tag 'v1.0.0'",
    ],
)
def test_merge_commits_are_left_out(title: str) -> None:
    """A merge says nothing of its own, by its title or by its two parents, whatever its message."""
    by_title = parse(title, commit="1")
    by_parents = parse("feat: x", commit="2", parents=("1", "0"))

    assert standing([by_parents, by_title]) == ()
    assert [one.description for one in standing([parse("Merge sort is used")])] == ["Merge sort is used"]


@pytest.mark.parametrize("message", ["feat: x", "says nothing"])
def test_a_commit_keeps_its_place_in_git(message: str) -> None:
    """Hash, time and parents are git's, whatever the message; without git there are none."""
    commit = parse(message, commit="c", committed=7, parents=("a", "b"))
    alone = parse(message)

    assert (commit.commit, commit.committed, commit.parents) == ("c", 7, ("a", "b"))
    assert (alone.commit, alone.committed, alone.parents) == ("", 0, ())


def test_blank_lines_before_the_first_line_are_skipped() -> None:
    """Line breaks in front go; a space in front, or anything else, belongs to the first line."""
    assert parse("\n\nfeat: x").type == "feat"
    assert parse(" feat: x").type == ""
    assert parse("Xfeat: x").type == "xfeat"


def test_a_footer_may_follow_the_first_line_at_once() -> None:
    """The line below the first opens a paragraph, though no blank line parts them."""
    assert parse("feat: x\nRefs: 1").footers == (("Refs", "1"),)


def test_a_revert_that_was_taken_back_hides_no_other() -> None:
    """Behind a revert of a revert, an older revert still counts."""
    messages = [f"{UNDO}{{3}}.", f"{UNDO}{{1}}.", f"{UNDO}{{0}}.", "feat: a", "feat: b"]

    assert [commit.description for commit in standing(chain(*messages))] == ["a"]


def _merged() -> list[Commit]:
    """Newest first: a merge 5 of 4 (on 3) into 2; 1 is before both, and 0 before all that is looked at."""
    parents = {"5": ("2", "4"), "4": ("3",), "3": ("1",), "2": ("1",), "1": ("0",)}
    return [
        parse("Merge branch 'side'" if number == "5" else f"feat: {number}", commit=number * 40,
              parents=tuple(parent * 40 for parent in parents[number]))
        for number in "54321"
    ]  # fmt: skip


def test_a_revert_of_a_merge_cancels_what_the_merge_brought_in() -> None:
    """The commits of the merged branch go with the merge; those of the branch that it was merged into stay."""
    undo = parse(f"{UNDO}{'5' * 40}, reversing\nchanges made to {'2' * 40}.", commit="6" * 40, parents=("5" * 40,))

    assert [commit.description for commit in standing([undo, *_merged()])] == ["2", "1"]


def test_a_merge_of_several_branches_brings_in_all_of_them() -> None:
    """Each parent but the first of an octopus merge counts."""
    octopus = [
        parse("Merge branches 'a' and 'b'", commit="4" * 40, parents=("1" * 40, "2" * 40, "3" * 40)),
        parse("feat: 3", commit="3" * 40, parents=("1" * 40,)),
        parse("feat: 2", commit="2" * 40, parents=("1" * 40,)),
        parse("feat: 1", commit="1" * 40),
    ]
    undo = parse(f"{UNDO}{'4' * 40}.", commit="5" * 40, parents=("4" * 40,))

    assert [commit.description for commit in standing([undo, *octopus])] == ["1"]
