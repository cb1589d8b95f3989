"""The words of a command line, before Invoke reads them."""

from __future__ import annotations

import pytest

import tasks
from build.errors import UsageError
from build.program import arguments
from build.program.program import Program

PROGRAM = Program(tasks.ns, tasks.ROOT)
CONTEXTS = {context.name or "": context for context in tasks.ns.to_contexts()}
BARE = {name: tasks.ns[name].bare for name in CONTEXTS if tasks.ns[name].bare}
SESSIONS = ("lint", "smoke", "release")
SERVICES = ("docs-server", "monitoring", "langgraph-api")


def read(line: str) -> list[str]:
    """The words that Invoke gets for a command line, in a project with three services."""

    def known(_task: str, argument: str) -> tuple[str, ...]:
        return SESSIONS if argument == "session" else SERVICES

    return arguments.normalised(line.split(), PROGRAM.initial_context, CONTEXTS, BARE, known)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("build docs-server", "build --service docs-server"),
        ("build docs-server monitoring --push", "build --service docs-server --service monitoring --push"),
        ("build --push docs-server", "build --push --service docs-server"),
        ("logs monitoring -f", "logs --container monitoring -f"),
        ("build -s docs-server,monitoring", "build -s docs-server,monitoring"),
        ("build --service=docs-server", "build --service docs-server"),
        ("build -sdocs-server", "build -s docs-server"),
        ("build -ns docs-server", "build -n -s docs-server"),
        ("release --bump=minor -n", "release --bump minor -n"),
        ("yank 1.4.0 --reason=a=b", "yank 1.4.0 --reason a=b"),
        ("yank --version 1.4.0", "yank --version 1.4.0"),
        ("secrets.rotate mcp_token", "secrets.rotate mcp_token"),
        ("build docs-server scan docs-server", "build --service docs-server scan --service docs-server"),
        ("version build", "version build"),
        ("test smoke release", "test --session smoke --session release"),
        ("yank --help", "yank --help"),
        ("--help build", "--help build"),
        ("logs --tail 5 monitoring", "logs --tail 5 --container monitoring"),
    ],
)
def test_u3_bare_names_get_their_flag(line: str, words: str) -> None:
    """A word without a flag goes where the task takes names; each flag and each value is a word of its own."""
    assert read(line) == words.split()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("biuld", "unknown task 'biuld' (did you mean 'build'?)"),
        ("nothing-like-it", "unknown task 'nothing-like-it'"),
        ("build --puhs", "build has no flag --puhs (did you mean '--push'?)"),
        ("build -x", "build has no flag -x"),
        ("build -nx", "build has no flag -x (in -nx)"),
        ("--verion", "there is no flag --verion (did you mean '--version'?)"),
        ("build scna", "'scna' is neither a task nor a service (did you mean 'scan'?)"),
        ("version docs-server", "version takes no 'docs-server', and no task has this name"),
        ("build --push=yes", "--push takes no value"),
        ("release --bump", "--bump needs a value"),
        ("release --plan --json", "--plan needs a value"),
        ("release -s", "-s needs a value"),
        ("yank", "yank needs a version"),
        ("diff 1.3.2", "diff needs OLD and NEW"),
        ("yank --reason x", "yank needs a version"),
        ("secrets.rotate build", ""),
        ("build -- docs-server", "no task takes words after --"),
    ],
)
def test_u3_what_is_unknown_or_lacking_is_refused_by_name(line: str, message: str) -> None:
    """The message has the wrong word and the most similar right one; what a task needs is what it takes."""
    if not message:
        assert read(line)
        return
    with pytest.raises(UsageError) as refused:
        read(line)

    assert str(refused.value) == message
    assert refused.value.hint


@pytest.mark.parametrize("task", sorted(CONTEXTS))
def test_u14_only_a_few_flags_have_a_letter(task: str) -> None:
    """-s is a service, -n a dry run, -f follows, -y agrees, in every task that has the flag; there is no other letter."""
    letters = {"-s": "service", "-n": "dry_run", "-f": "follow", "-y": "yes"}
    flags = CONTEXTS[task].flags
    short = {
        flag: flags[flag].name for flag in ["-" + letter for letter in "abcdefghijklmnopqrstuvwxyz"] if flag in flags
    }

    names = {argument.name for argument in CONTEXTS[task].args.values()}
    assert short == {letter: name for letter, name in letters.items() if name in names}


def test_u1_flags_of_invoke_s_that_would_do_nothing_are_not_there() -> None:
    """--dry, --echo and their like neither act nor are taken: what is there is help, list and version."""
    assert sorted(PROGRAM.initial_context.args) == ["help", "list", "version"]
    for flag in ("--dry", "--echo", "-e", "-w", "-p", "--hide", "-T", "-R", "--collection", "-c"):
        with pytest.raises(UsageError, match="no flag"):
            read(f"{flag} version")
