"""The one subprocess call, with real children."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from build import parallel, process
from build.errors import MissingTool, ToolFailed


def test_output_and_code_come_back() -> None:
    """A finished child gives its code and both streams."""
    outcome = process.run([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"])

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "out\n", "err\n")


def test_a_failure_shows_the_captured_output() -> None:
    """A failing child's output is in the error, with its code."""
    with pytest.raises(ToolFailed, match="exit code 3") as caught:
        process.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], hint="fix it")

    assert (caught.value.output.strip(), caught.value.returncode, caught.value.hint) == ("why", 3, "fix it")


def test_an_expected_code_is_no_failure() -> None:
    """A code that the caller named comes back as an outcome."""
    assert process.run([sys.executable, "-c", "raise SystemExit(3)"], ok_codes=(0, 3)).returncode == 3


def test_a_child_that_reads_and_says_nothing_is_stopped() -> None:
    """A child whose bytes are waited for is stopped after the time that it has."""
    with pytest.raises(ToolFailed, match=r"timed out after 0\.2 s"):
        process.raw_output([sys.executable, "-c", "import time; time.sleep(60)"], stdin=b"bytes", timeout=0.2)


def test_a_missing_tool_has_an_error_of_its_own() -> None:
    """A tool that is not there is MissingTool, not a failure of the tool."""
    with pytest.raises(MissingTool, match="no-such-tool-here"):
        process.run(["no-such-tool-here"])


@pytest.mark.parametrize("content", [b"MZ\x90\x00", b"#!/no/such/interpreter\n"], ids=["another machine's", "a script"])
def test_a_tool_that_can_not_be_executed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    """A file on PATH that the system refuses to run is a failure of that tool, with its path; not a crash of ours."""
    (tmp_path / "some-tool").write_bytes(content)
    (tmp_path / "some-tool").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    for start in (process.run, lambda argv: list(process.records(argv))):
        with pytest.raises(ToolFailed, match=f"{tmp_path}/some-tool can't be run: ") as caught:
            start(["some-tool", "--version"])
        assert caught.value.hint == f"fix or remove {tmp_path}/some-tool"


def test_a_folder_that_is_not_there_is_not_the_tool_s_fault(tmp_path: Path) -> None:
    """Nobody is told to remove git because its working folder is gone."""
    with pytest.raises(FileNotFoundError, match="gone"):
        process.run([sys.executable, "-c", ""], cwd=tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host/x", "https://***@host/x"),
        ("see http://token@h and HTTPS://a:b@c", "see http://***@h and HTTPS://***@c"),
        ("fatal: unable to access 'https://me:p@ss@word@host/x/'", "fatal: unable to access 'https://***@host/x/'"),
        ('{"url":"https://host","mail":"me@host"}', '{"url":"https://host","mail":"me@host"}'),
        ("no credentials at https://host/path@2", "no credentials at https://host/path@2"),
    ],
)
def test_credentials_in_urls_are_masked(text: str, expected: str) -> None:
    """A URL's user and password never reach a log or a message."""
    assert process.redact(text) == expected


def test_a_masked_command_line_in_the_error() -> None:
    """The error quotes the command without the credentials in it."""
    with pytest.raises(ToolFailed) as caught:
        process.run([sys.executable, "-c", "raise SystemExit(1)", "https://me:secret@host"])

    assert "secret" not in str(caught.value)


def test_lines_come_while_the_program_runs() -> None:
    """Both streams line by line, without their ends; a program that fails raises after its last line."""
    program = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); raise SystemExit(3)"
    argv = [sys.executable, "-c", program]

    assert [*process.lines(argv, ok_codes=(0, 3))] == ["one", "two"]
    running = process.lines(argv)
    assert [next(running), next(running)] == ["one", "two"]
    with pytest.raises(ToolFailed, match="exit code 3") as caught:
        next(running)
    assert caught.value.returncode == 3


def test_lines_of_a_missing_program() -> None:
    """A program that is not on PATH has the same error as everywhere."""
    with pytest.raises(MissingTool, match="not-a-program is not installed"):
        [*process.lines(["not-a-program"])]


def test_what_takes_too_long_is_abandoned() -> None:
    """Calls with a limit end together at it: one that hangs, as a look-up of a name may, has no result."""
    hangs = threading.Event()
    started = time.monotonic()

    results = parallel.within(0.3, [lambda: hangs.wait(20), lambda: True])

    assert (results, 0.2 < time.monotonic() - started < 2) == ([None, True], True)
    hangs.set()
