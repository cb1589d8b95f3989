"""What becomes of a task whose output nobody reads."""

from __future__ import annotations

import os
import subprocess

from tests.support.project import Project


def test_a_reader_that_leaves_early_causes_no_crash(project: Project) -> None:
    """`./inv TASK | head` ends with 141, as other programs do, and without a stack trace."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            project.command("version", "--json"), cwd=project.root, env=project.environment(), stdout=writing,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)

    assert done.returncode == 141
    assert done.stderr == ""
