"""A small project whose one context is compared with its commit, and what that comparison finds."""

from __future__ import annotations

import os

from build.images.build import snapshots
from tests.support.clones import read, reasons
from tests.support.project import Project

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
SILENT = "; git status does not show it: a flag of the index, or a setting"


def app_of(project: Project) -> Project:
    """A project whose one context has a file, a program, a link and a folder, committed and clean."""
    project.write("docker/web/data.txt", "one\ntwo\n")
    project.write("docker/web/run.sh", "#!/bin/sh\n").chmod(0o755)
    (project.root / "docker/web/link").symlink_to("data.txt")
    project.write("docker/web/pkg/mod.py", "x = 1\n")
    project.write("docker/web/tests/test_mod.py", "assert 1\n")
    project.write("docker/web/.dockerignore", "tests\n")
    project.commit("feat: app")
    return project


def put(project: Project, name: str, text: str) -> None:
    """Write other text of the same length into the same file, and give it its old time back."""
    path = project.root / name
    before = path.stat()
    assert len(text) == before.st_size
    with path.open("r+") as file:
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def found(project: Project) -> dict[str, str]:
    """The reasons of the checkout; its version says the same."""
    history = read(project)
    assert snapshots(project.load(), history)["web"].endswith(".dirty") == history.dirty == bool(reasons(history))
    return reasons(history)
