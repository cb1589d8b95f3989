"""What an export leaves on the disk, and for how long."""

from __future__ import annotations

import os
import subprocess
import sys

from build.images.export import forget_exports
from tests.support.project import Project


def test_layouts_of_a_running_release_are_left_alone(project: Project) -> None:
    """Two releases may run at once from one checkout: each removes its own layouts and those of ended processes."""
    layouts = project.load().workspace.layouts
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (str(os.getpid()), str(os.getppid()), str(ended.pid), "stray"):
        (layouts / name / "web").mkdir(parents=True)

    forget_exports(project.load().workspace)

    assert [folder.name for folder in layouts.iterdir()] == [str(os.getppid())]
