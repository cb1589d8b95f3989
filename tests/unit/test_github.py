"""What GitHub Actions reads: annotations with any text in them, and a summary that is never too large."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from build import console, github
from tests.support.project import REPOSITORY

PROGRAM = """
from build import console
console.warn("50% of\\nit")
console.error("broken", hint="fix: 1::2", output="log")
with console.step("a\\nstep"):
    pass
"""


def run(**environment: str) -> list[str]:
    """The lines of the program on standard error, without times."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return [line for line in done.stderr.splitlines() if not line.endswith(" s)")]


def test_warnings_and_errors_are_annotations_on_github() -> None:
    """Text cannot end a command or start another: percent signs and line ends are escaped, a hint is part of its error."""
    assert run(GITHUB_ACTIONS="true") == [
        "::warning::50%25 of%0Ait", "  | log", "::error::broken%0Atry: fix: 1::2", "::group::a%0Astep", "::endgroup::", "✓ a",
    ]  # fmt: skip


def test_elsewhere_nothing_is_a_command() -> None:
    """A terminal, and every other system, gets the words."""
    lines = run()

    assert not any("::" in line and line.startswith("::") for line in lines)
    assert "error: broken" in lines


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a job's summary, which an earlier step has written to."""
    path = tmp_path / "summary.md"
    path.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_a_summary_is_appended(summary: Path) -> None:
    """What other steps wrote stays."""
    github.summarise("one")
    github.summarise("two")

    assert summary.read_text(encoding="utf-8") == "before\none\ntwo\n"


def test_a_summary_is_cut_at_its_limit(summary: Path) -> None:
    """GitHub refuses a larger file as a whole, so what is too long ends at a line, with a note."""
    github.summarise("ä line of text\n" * 100_000)
    full = summary.read_bytes()
    for _ in range(20):
        github.summarise("more")

    assert len(full) <= github.SUMMARY_LIMIT
    assert len(full) > github.SUMMARY_LIMIT - 200
    lines = full.decode().splitlines()
    assert set(lines[1:-2]) <= {"ä line of text", ""}
    assert lines[-1].startswith("… the rest is left out")
    assert summary.stat().st_size <= github.SUMMARY_LIMIT


def test_no_summary_ends_a_task(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the variable nothing is written; a file that can't be written is a warning."""
    console.summary("one")
    assert capsys.readouterr().err == ""

    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none" / "summary.md"))
    console.summary("one")

    assert list(tmp_path.iterdir()) == []
    assert "the summary of the job can't be written: No such file" in capsys.readouterr().err


def test_a_cell_shows_its_text() -> None:
    """Nothing in a finding is markup of the summary."""
    table = github.table(("a", "b"), [("<b>|x", "1\n2 & 3")])

    assert table.splitlines() == ["| a | b |", "| --- | --- |", "| &lt;b&gt;\\|x | 1 2 &amp; 3 |"]


def test_a_cell_of_code_shows_its_text() -> None:
    """A span of code where its text can stand in one; elsewhere an element, in which signs are entities."""
    cells = [github.Code(text) for text in ("@a/b_c*", "a|b", "`", "", " x")]

    table = github.table(("a",), [(cell,) for cell in cells])

    assert table.splitlines()[2:] == [
        "| `@a/b_c*` |", "| <code>a\\|b</code> |", "| <code>&#96;</code> |", "|  |", "| <code> x</code> |",
    ]  # fmt: skip
