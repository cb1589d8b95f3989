"""Clones of a project, and what the library reads from their history."""

from __future__ import annotations

from pathlib import Path

from build.git import history as git_history
from build.git.versions import History, LineHistory
from tests.support.project import Project


def read(project: Project, **environment: str) -> History:
    """The history of the project, under UC_ variables."""
    return git_history.read(project.load(**environment))


def reasons(history: History) -> dict[str, str]:
    """Why a build of the checkout would be no build of its commit: path → reason."""
    return {difference.path: difference.reason for difference in history.differences}


def line(project: Project) -> LineHistory:
    """The one line of a lockstep project."""
    (only,) = read(project).lines.values()
    return only


def last(project: Project) -> tuple[str, int, list[str]]:
    """Last version, distance and the descriptions since, newest first."""
    history = line(project)
    return str(history.last), history.distance, [one.description for one in history.commits]


def clone(project: Project, folder: Path, *options: str) -> Project:
    """A clone as `git clone OPTIONS` makes it."""
    project.git("clone", "--quiet", *options, f"file://{project.root}", str(folder))
    return Project(folder)


# Which version is the last ------------------------------------------------------------------------------------------
