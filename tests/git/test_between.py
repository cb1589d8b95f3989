"""The commits between two releases, on real git."""

from __future__ import annotations

from pathlib import Path

from build.config.manifest import ReleaseSettings
from build.git import between
from build.git.between import Between
from tests.support.clones import clone
from tests.support.project import Project

SETTINGS = ReleaseSettings()


def described(project: Project, before: str, after: str, *paths: str) -> tuple[list[str], list[str]]:
    """The descriptions of the commits that came and went."""
    result = between.read(project.root, before, after, paths, SETTINGS)
    assert result.unknown == ""
    return [each.description for each in result.came], [each.description for each in result.went]


def test_commits_come_and_go(project: Project) -> None:
    """What the newer has and the older lacks came; on two branches, what only the older has went; merges are neither."""
    project.commit("feat: start")
    project.git("switch", "--quiet", "--create", "1.3.x")
    old = project.commit("fix: only on the branch")
    project.git("switch", "--quiet", "main")
    project.commit("feat(api)!: drop it")
    project.git("merge", "--quiet", "--no-ff", "--message", "Merge branch '1.3.x'", "1.3.x")
    merged = project.commit("A word")
    project.git("switch", "--quiet", "1.3.x")
    later = project.commit("fix: later")

    assert described(project, old, merged) == (["A word", "drop it"], [])
    assert described(project, later, merged) == (["A word", "drop it"], ["later"])
    assert described(project, old, old) == ([], [])
    first = between.read(project.root, old, merged, (), SETTINGS).came[1]
    assert (first.type, first.scope, first.breaking, len(first.commit)) == ("feat", "api", True, 40)


def test_a_line_has_the_commits_of_its_paths(project: Project) -> None:
    """In independent mode only what changed the service's own paths counts."""
    start = project.commit("feat: start")
    project.write("docker/one/file", "1")
    project.commit("fix: one")
    project.write("docker/two/file", "1")
    end = project.commit("fix: two")

    assert described(project, start, end, "docker/one") == (["one"], [])


def test_a_clone_that_lacks_a_commit_says_so(project: Project, tmp_path: Path) -> None:
    """The commits are unknown, with what fetches them; a record's text is a hash or nothing to git."""
    start = project.commit("feat: start")
    end = project.commit("fix: more")

    result = between.read(project.root, start, "d" * 40, (), SETTINGS)
    assert result == Between(unknown="this clone lacks ddddddd: git fetch --tags origin")
    assert between.read(project.root, "HEAD", end, (), SETTINGS).unknown.startswith("this clone lacks HEAD")

    shallow = clone(project, tmp_path / "shallow", "--depth", "1")
    assert between.read(shallow.root, start, end, (), SETTINGS).unknown.startswith(f"this clone lacks {start[:7]}")
    deeper = clone(project, tmp_path / "deeper", "--depth", "2")
    assert "git fetch --unshallow --tags" in between.read(deeper.root, start, end, (), SETTINGS).unknown


def test_outside_a_repository_commits_are_unknown(tmp_path: Path) -> None:
    """A comparison goes on where there is no git repository."""
    assert "is not a git repository" in between.read(tmp_path, "a" * 40, "b" * 40, (), SETTINGS).unknown
