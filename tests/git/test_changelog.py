"""Which commit belongs to which release, on real git; and the tasks that show it, as a user runs them."""

from __future__ import annotations

import pytest

from build.errors import RepositoryError
from build.git import releases as git_releases
from tests.support.project import Project


def entries(project: Project, version: str = "", **environment: str) -> dict[str, list[str]]:
    """Return section → descriptions of its commits, newest first."""
    sections = git_releases.sections(project.load(**environment), version=version)
    return {one.title: [commit.description for commit in one.commits] for one in sections}


def test_each_commit_belongs_to_the_first_release_that_has_it(project: Project) -> None:
    """Merged branches count for the release that merged them; a backport takes nothing from the versions above it."""
    project.git("tag", "v1.0.0")
    project.git("switch", "--quiet", "--create", "side")
    project.commit("feat: side")
    project.git("switch", "--quiet", "main")
    project.commit("feat: main")
    project.git("tag", "v1.1.0")
    project.git("merge", "--quiet", "--no-edit", "side")
    project.git("tag", "--annotate", "--message", "x", "v1.2.0")
    project.commit("fix: late")
    project.git("tag", "v1.0.1")
    project.commit("fix: now")

    assert entries(project) == {
        "Unreleased": ["now"],
        "1.2.0": ["Merge branch 'side'", "side"],
        "1.1.0": ["main"],
        "1.0.1": ["late"],
        "1.0.0": ["Start"],
    }


def test_a_release_has_all_of_its_pre_releases(project: Project) -> None:
    """rc.1 and rc.2 have sections until 1.0.0 takes in their entries; a pre-release of the next version stays."""
    for tag in ("v1.0.0-rc.1", "v1.0.0-rc.2"):
        project.commit(f"feat: {tag}")
        project.git("tag", tag)
    assert list(entries(project)) == ["Unreleased", "1.0.0-rc.2", "1.0.0-rc.1"]

    project.git("tag", "v1.0.0")
    project.commit("feat: next")
    project.git("tag", "v1.1.0-rc.1")

    assert entries(project) == {
        "Unreleased": [],
        "1.1.0-rc.1": ["next"],
        "1.0.0": ["v1.0.0-rc.2", "v1.0.0-rc.1", "Start"],
    }


def test_one_version_and_one_that_is_not_there_yet(project: Project) -> None:
    """--version prints one section; a higher version gets the unreleased changes under its name."""
    project.git("tag", "v1.0.0")
    project.commit("feat: next")

    assert entries(project, "1.0.0") == {"1.0.0": ["Start"]}
    assert entries(project, "1.1.0") == {"1.1.0": ["next"]}


def test_each_line_has_its_own_sections(project: Project) -> None:
    """In independent mode a service's sections list the commits that touch what it is built from."""
    project.service("api", 18981)
    project.commit("feat: api")
    project.git("tag", "api/v1.0.0")
    project.git("tag", "web/v2.0.0")
    project.write("docker/web/app", "x")
    project.commit("fix: web")
    mode = {"UC_RELEASE_MODE": "independent"}

    assert entries(project, **mode) == {
        "web Unreleased": ["web"],
        "web 2.0.0": ["Start"],
        "api Unreleased": [],
        "api 1.0.0": ["api"],
    }
    assert list(entries(project, "api/1.1.0", **mode)) == ["api 1.1.0"]
    with pytest.raises(RepositoryError, match=r"no line of versions has 9\.9\.9") as caught:
        entries(project, "9.9.9", **mode)
    assert "web/9.9.9, api/9.9.9" in caught.value.hint


def test_the_changelog_task_writes_only_when_asked(project: Project) -> None:
    """`changelog` prints; --write writes the file and is idempotent; --json has the same data."""
    project.git("remote", "add", "origin", "git@github.com:a/b.git")
    project.git("tag", "v1.0.0")
    commit = project.commit("feat(web): next")
    path = project.root / "CHANGELOG.md"

    shown = project.inv("changelog")
    assert f"- **web:** next ([{commit[:7]}](https://github.com/a/b/commit/{commit}))" in shown.stdout
    assert not path.exists()

    assert "written" in project.inv("changelog", "--write").stderr
    first = path.read_text(encoding="utf-8")
    assert "already current" in project.inv("changelog", "--write").stderr
    assert path.read_text(encoding="utf-8") == first
    (unreleased, _) = project.inv("changelog", "--json").result["sections"]
    assert unreleased["changes"]["Added"][0]["description"] == "next"


def test_the_version_task_shows_each_bump_and_why(project: Project) -> None:
    """`version` shows the commit's version, the next one for every bump, and why auto chooses; so does --json."""
    project.git("tag", "v1.4.0")
    project.commit("fix: a")
    commit = project.commit("feat(web)!: b")
    shown = project.inv("version").stdout
    (line,) = project.inv("version", "--json").result["lines"]

    assert shown.splitlines()[0] == line["version"] == f"1.4.1-dev.2.g{commit[:7]}"
    assert line["next"] == {"auto": "2.0.0", "patch": "1.4.1", "minor": "1.5.0", "major": "2.0.0"}
    assert (line["auto"], line["types"]) == ("major", {"feat": 1, "fix": 1})
    assert f"breaking: {commit[:7]} b" in shown


def test_the_version_task_has_a_row_for_each_service(project: Project) -> None:
    """In independent mode each service has its own versions, and a service without a change has nothing for auto."""
    project.service("api", 18981)
    project.commit("feat: api")
    project.git("tag", "api/v1.0.0")
    project.git("tag", "web/v2.0.0")
    project.write("docker/web/app", "x")
    project.commit("fix: web")
    ran = project.inv("version", UC_RELEASE_MODE="independent")
    rows = {row.split()[0]: row.split() for row in ran.stdout.splitlines()}

    assert rows["web"][2:7] == ["2.0.0", "2.0.1", "2.0.1", "2.1.0", "3.0.0"]
    assert rows["api"][1:7] == ["1.0.0", "1.0.0", "-", "1.0.1", "1.1.0", "2.0.0"]


def test_g1_the_version_task_refuses_a_shallow_clone(project: Project) -> None:
    """V1: exit 3, the reason and the command; no version on stdout."""
    project.git("tag", "v1.0.0")
    project.commit("fix: a")
    shallow = Project(project.root.parent / "shallow")
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.root}", str(shallow.root))
    ran = shallow.inv("version")

    assert (ran.code, ran.stdout) == (3, "")
    assert "git fetch --unshallow --tags" in ran.stderr
