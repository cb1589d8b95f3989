"""A task whose output is closed early."""

from __future__ import annotations

import os
import subprocess

from tests.support.project import Project


def test_a_reader_that_leaves_early_causes_no_crash(project: Project) -> None:
    """`./inv TASK | head` exits with 141, like other programs, without a traceback."""
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
