"""A task whose output is closed early, and what both streams are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import REPOSITORY, Project


@pytest.mark.parametrize(
    "words",
    [("version", "--json"), ("version",), ("--list",), (), ("build", "--help"), ("--version",), ("nothing", "--json")],
)
def test_u10_a_reader_that_leaves_early_causes_no_crash(project: Project, words: tuple[str, ...]) -> None:
    """`./inv … | head` exits with 141, like other programs, without a traceback, whatever it would have printed."""
    project.commit()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            project.command(*words), cwd=project.root, env=project.environment(), stdout=writing,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)

    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("words", [("version", "--json"), ("version",), ("--list",)])
def test_u6_a_full_disk_behind_stdout_is_an_error(project: Project, words: tuple[str, ...]) -> None:
    """What could not be written did not go well: exit code 20 with the reason, and no traceback."""
    project.commit()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            project.command(*words), cwd=project.root, env=project.environment(), stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip

    assert done.returncode == 20
    assert "error: no space left on device\n  try: df -h" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_u1_stock_invoke_s_dry_run_is_refused() -> None:
    """`invoke --dry` would act all the same: the message names the flag that does not; without it the task runs."""

    def invoke(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "invoke", *words]
        return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    refused, ran = invoke("--dry", "completion", "bash"), invoke("completion", "bash")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--dry-run after the task" in refused.stderr
    assert ran.returncode == 0
    assert "complete" in ran.stdout


def test_u16_a_refused_command_line_is_a_document_too(project: Project) -> None:
    """A program that calls ./inv with --json reads one document from stdout, also when it misspelt a flag."""
    ran = project.inv("version", "--jsn", "--json")

    assert (ran.code, ran.document["error"]["kind"], ran.document["exit_code"]) == (1, "usage", 1)
    assert "did you mean '--json'?" in ran.stderr


def test_u16_two_tasks_print_a_document_each_until_one_fails(project: Project) -> None:
    """What the first one found is there although the second one failed, and no third one runs."""
    project.commit()
    ran = project.inv("version", "--json", "scan", "no-such-service", "--json", "version", "--json")

    assert ran.code == 2
    assert ran.stdout.count('"task": "version"') == 1
    assert ran.stdout.count('"task": "scan"') == 1
