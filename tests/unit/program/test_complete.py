"""What a Tab offers."""

from __future__ import annotations

import marshal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tasks
from build.program import complete, completion_table
from tests.support.commands import CONTEXTS, sessions


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The table of this checkout's tasks."""
    path = tmp_path_factory.mktemp("table") / "completion"
    completion_table.write(path, tasks.ROOT, {name: tasks.ns[name] for name in tasks.ns.task_names})
    return marshal.loads(path.read_bytes())


def offered(table: Any, *words: str) -> list[str]:
    """The candidates for the last of the words, without their summaries."""
    return [line.partition("\t")[0] for line in complete.candidates(table, list(words))]


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (["bui"], ["build"]),
        (["secrets."], ["secrets.init", "secrets.rotate"]),
        (["build", "doc"], ["docs-server"]),
        (["build", "docs-server", "doc"], []),
        (["build", "-s", "mon"], ["monitoring"]),
        (["build", "--service", "docs-server,mon"], ["docs-server,monitoring"]),
        (["build", "--service=mon"], ["--service=monitoring"]),
        (["build", "--service", "="], ["powershell-modules", "langgraph-api", "autogen-groupchat", "docs-server", "mcp-servers", "monitoring"]),
        (["build", "--service", "=", "mon"], ["monitoring"]),
        (["build", "--pu"], ["--push"]),
        (["build", "--push", "mon"], ["monitoring"]),
        (["logs", "mcp-r"], ["mcp-repository"]),
        (["logs", "--tail", "m"], []),
        (["secrets.rotate", "mcp"], ["mcp_token"]),
        (["secrets.rotate", "--name", "mcp"], ["mcp_token"]),
        (["release", "--bump", ""], ["auto", "patch", "minor", "major"]),
        (["release", "--skip", "s"], ["scan", "smoke"]),
        (["release", "--plan", "x"], [":files"]),
        (["test", "smo"], ["smoke"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["--v"], ["--version"]),
        (["build", "--h"], ["--help"]),
        (["build", "scan", "doc"], ["docs-server"]),
    ],
)  # fmt: skip
def test_u4_values_are_completed(table: Any, words: list[str], candidates: list[str]) -> None:
    """Tasks, flags, services, containers, secrets, bumps, gates and shells, also after a comma and after `=`."""
    assert offered(table, *words) == candidates


def test_u4_the_first_word_may_be_any_task(table: Any) -> None:
    """With nothing typed, every task is offered with its summary."""
    lines = list(complete.candidates(table, [""]))

    assert sorted(line.partition("\t")[0] for line in lines) == sorted(context.name or "" for context in CONTEXTS)
    assert all(line.partition("\t")[2] for line in lines)


def test_u4_every_flag_of_every_task_is_offered(table: Any) -> None:
    """What is offered after a task and -- are its flags, and those that any task takes."""
    for context in CONTEXTS:
        flags = {flag for flag in context.flags if flag.startswith("--")}

        assert {*offered(table, context.name or "", "--")} == flags | {"--help", "--list", "--version"}


def test_an_unreadable_table_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a table, or one of another Python, is no reason to offer nothing."""
    path = tmp_path / "completion"
    path.write_bytes(b"half")
    monkeypatch.setattr(complete, "TABLE", str(path))

    assert {"build", "up"} <= complete._table()["tasks"].keys()


def test_u4_a_tab_imports_nothing() -> None:
    """With a current table it takes the start of Python, and no module but that of the system."""
    program = (
        f"import os, sys, __future__; before = {{*sys.modules}}; sys.path[0] = {str(Path(complete.__file__).parent)!r}"
    )
    program += "; import complete; complete.main(['bu']); print({*sys.modules} - before)"
    complete.main(["bu"])  # makes the table
    argv = [sys.executable, "-I", "-S", "-c", program]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1] == "{'complete'}"


def test_without_a_table_to_be_had_nothing_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that has no .venv, or whose versions.toml can't be read, completes nothing, quietly."""
    monkeypatch.setattr(complete, "ROOT", str(tmp_path))
    monkeypatch.setattr(complete, "TABLE", str(tmp_path / "completion"))

    assert complete.main(["bu"]) == 0


def test_what_stands_behind_test_is_a_session_even_if_a_task_has_its_name() -> None:
    """`./inv test release` tests releases, and never makes one: the sessions are known without running nox."""
    known = completion_table.known(tasks.ROOT, tasks.ns["test"], "session")

    assert set(known) == sessions()
    assert {"release", "smoke"} <= set(known)
