"""What is read from real git: last versions, what is taken, commits since, and the states a clone can be in."""

from __future__ import annotations

from pathlib import Path

import pytest

from build import repo
from build.version import History, LineHistory
from tests.conftest import Project

TYPES = {"feat": "minor", "fix": "patch", "revert": "patch"}


def read(project: Project, **environment: str) -> History:
    """The history of the project, under UC_ variables."""
    return repo.read(project.load(**environment))


def line(project: Project) -> LineHistory:
    """The one line of a lockstep project."""
    (only,) = read(project).lines.values()
    return only


def last(project: Project) -> tuple[str, int, list[str]]:
    """Last version, distance and the descriptions since, newest first."""
    told = line(project)
    return str(told.last), told.distance, [one.description for one in told.commits]


def clone(project: Project, folder: Path, *options: str) -> Project:
    """A clone as `git clone OPTIONS` makes it."""
    project.git("clone", "--quiet", *options, f"file://{project.root}", str(folder))
    return Project(folder)


# Which version is the last ------------------------------------------------------------------------------------------


def test_git_state_of_a_clean_commit(project: Project) -> None:
    """Commit, branch and cleanliness come from real git; before the first tag all commits count."""
    told = read(project)
    (only,) = told.lines.values()

    assert (told.commit, told.branch, told.dirty) == (project.git("rev-parse", "HEAD"), "main", False)
    assert (only.last, only.last_tag, only.distance) == (None, "", 1)


@pytest.mark.parametrize("options", [("--annotate", "--message", "x"), ()], ids=["annotated", "lightweight"])
def test_annotated_and_lightweight_tags_count(project: Project, options: tuple[str, ...]) -> None:
    """Both kinds of tag name a version."""
    project.git("tag", *options, "v1.2.3")
    project.commit("feat: more")

    assert last(project) == ("1.2.3", 1, ["more"])


def test_foreign_tags_are_ignored(project: Project) -> None:
    """A sha, a date, another prefix, a half version: none of them is the last version, even nearer than it."""
    project.git("tag", "v1.2.3")
    project.commit("More")
    for tag in ("sha-abcdef", "20261122", "v2026.01", "web/v9.0.0", "release-9.0.0", "v9", "v09.0.0"):
        project.git("tag", tag)

    assert last(project) == ("1.2.3", 1, ["More"])


def test_the_highest_reachable_version_counts_not_the_nearest(project: Project) -> None:
    """A backfill tagged later does not become the last: 1.4.0 stays it after 1.3.5 was merged."""
    project.git("tag", "v1.4.0")
    project.commit("Backfill")
    project.git("tag", "v1.3.5")
    project.commit("More")

    assert last(project) == ("1.4.0", 2, ["More", "Backfill"])


def test_a_maintenance_branch_counts_its_own(project: Project) -> None:
    """1.3.x goes on from 1.3.4 after 1.4.0 exists elsewhere, and knows that 1.4.0 is taken."""
    project.git("tag", "v1.3.4")
    project.git("branch", "1.3.x")
    project.commit("feat: more")
    project.git("tag", "v1.4.0")
    project.git("switch", "--quiet", "1.3.x")
    project.commit("fix: less")

    assert last(project) == ("1.3.4", 1, ["less"])
    assert {str(one) for one in line(project).taken} == {"1.3.4", "1.4.0"}
