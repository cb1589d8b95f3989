"""What is read from real git: last versions, taken versions, commits since, and the states a clone can be in."""

from __future__ import annotations

import pytest

from build.git.commits import Bump, bump_of
from build.images.build import preview
from tests.support.clones import last, line, read
from tests.support.project import Project

TYPES: dict[str, Bump] = {"feat": "minor", "fix": "patch", "revert": "patch"}


def test_git_state_of_a_clean_commit(project: Project) -> None:
    """Commit, branch and cleanliness come from real git; before the first tag all commits count."""
    history = read(project)
    (only,) = history.lines.values()

    assert (history.commit, history.branch, history.dirty) == (project.git("rev-parse", "HEAD"), "main", False)
    assert (only.last, only.last_tag, only.distance) == (None, "", 1)


@pytest.mark.parametrize("options", [("--annotate", "--message", "x"), ()], ids=["annotated", "lightweight"])
def test_annotated_and_lightweight_tags_count(project: Project, options: tuple[str, ...]) -> None:
    """Both kinds of tag name a version."""
    project.git("tag", *options, "v1.2.3")
    project.commit("feat: more")

    assert last(project) == ("1.2.3", 1, ["more"])


def test_foreign_tags_are_ignored(project: Project) -> None:
    """A sha, a date, another prefix or a partial version is never the last version, even if it is nearer."""
    project.git("tag", "v1.2.3")
    project.commit("More")
    for tag in ("sha-abcdef", "20261122", "v2026.01", "web/v9.0.0", "release-9.0.0", "v9", "v09.0.0"):
        project.git("tag", tag)

    assert last(project) == ("1.2.3", 1, ["More"])


def test_the_highest_reachable_version_counts_not_the_nearest(project: Project) -> None:
    """A backport tagged later is not the last version: 1.4.0 stays the last after 1.3.5 was merged."""
    project.git("tag", "v1.4.0")
    project.commit("Backfill")
    project.git("tag", "v1.3.5")
    project.commit("More")

    assert last(project) == ("1.4.0", 2, ["More", "Backfill"])


def test_a_maintenance_branch_counts_its_own(project: Project) -> None:
    """1.3.x continues from 1.3.4 after 1.4.0 exists elsewhere, and knows that 1.4.0 is taken."""
    project.git("tag", "v1.3.4")
    project.git("branch", "1.3.x")
    project.commit("feat: more")
    project.git("tag", "v1.4.0")
    project.git("switch", "--quiet", "1.3.x")
    project.commit("fix: less")

    assert last(project) == ("1.3.4", 1, ["less"])
    assert {str(one) for one in line(project).taken} == {"1.3.4", "1.4.0"}


def test_a_merged_tag_counts(project: Project) -> None:
    """A version tagged on a branch becomes the last once that branch is merged; the merge itself counts as distance."""
    project.git("tag", "v1.0.0")
    project.git("switch", "--quiet", "--create", "side")
    project.commit("feat: side")
    project.git("tag", "v1.1.0")
    project.git("switch", "--quiet", "main")
    project.commit("fix: main")
    assert last(project) == ("1.0.0", 1, ["main"])

    project.git("merge", "--quiet", "--no-edit", "side")

    assert last(project) == ("1.1.0", 2, ["Merge branch 'side'", "main"])
    assert bump_of(line(project).commits, TYPES) == "patch"


def test_higher_versions_elsewhere_do_not_hide_the_last(project: Project) -> None:
    """With many higher tags that HEAD does not reach, the last version is still the highest reachable one."""
    project.git("tag", "v1.0.0")
    project.git("switch", "--quiet", "--create", "next")
    for number in range(3):
        project.commit("feat!: next")
        project.git("tag", "--annotate", "--message", "x", f"v{number + 2}.0.0")
    project.git("switch", "--quiet", "main")

    assert last(project) == ("1.0.0", 0, [])


def test_tags_of_an_unrelated_history_are_only_taken(project: Project) -> None:
    """A tag on a history without a common commit is taken, not reached."""
    project.git("tag", "v1.0.0")
    project.git("switch", "--quiet", "--orphan", "other")
    project.commit("Other")
    project.git("tag", "v9.0.0")
    project.git("switch", "--quiet", "main")

    assert last(project)[0] == "1.0.0"
    assert {str(one) for one in line(project).taken} == {"1.0.0", "9.0.0"}


def test_a_version_tag_of_no_commit_is_only_taken(project: Project) -> None:
    """A tag on a blob or a tree can't be a release, but its version is taken."""
    project.git("tag", "v1.0.0")
    project.git("tag", "v3.0.0", project.git("rev-parse", "HEAD^{tree}"))
    project.git("tag", "--annotate", "--message", "x", "v2.0.0", project.git("rev-parse", "HEAD:versions.toml"))

    assert last(project)[0] == "1.0.0"
    assert len(line(project).taken) == 3


def test_a_pre_release_is_the_last_until_its_release(project: Project) -> None:
    """1.5.0-rc.10 is above rc.9 and below 1.5.0, whatever git's own sorting says."""
    for tag in ("v1.4.0", "v1.5.0-rc.9", "v1.5.0-rc.10"):
        project.git("tag", tag)
    assert last(project)[0] == "1.5.0-rc.10"

    project.git("tag", "v1.5.0")

    assert last(project)[0] == "1.5.0"


def test_messages_come_whole(project: Project) -> None:
    """Blank lines, quotes, umlauts and a leading less-than sign are read from git unchanged."""
    project.git("tag", "v1.0.0")
    project.commit('fix(web): says "größer" <3\n\n< not a mark\n\nBREAKING CHANGE: all\nof it\n\nRefs: #1')

    (only,) = line(project).commits

    assert (only.scope, only.description, only.breaking) == ("web", 'says "größer" <3', True)
    assert only.body == "< not a mark"
    assert only.notes == ("all\nof it",)
    assert only.commit == project.git("rev-parse", "HEAD")


def test_a_revert_by_git_cancels_an_unreleased_commit(project: Project) -> None:
    """git revert of an unreleased commit leaves nothing to release; of a released one it is a patch."""
    project.write("a.txt", "a")
    released = project.commit("feat: a")
    project.git("tag", "v1.0.0")
    project.write("b.txt", "b")
    unreleased = project.commit("feat!: b")
    project.git("revert", "--no-edit", unreleased)
    assert bump_of(line(project).commits, TYPES) == "none"

    project.git("revert", "--no-edit", released)

    assert bump_of(line(project).commits, TYPES) == "patch"


def test_a_revert_of_a_merge_cancels_what_it_brought(project: Project) -> None:
    """Reverting an unreleased merge cancels the commits of its branch, and no others."""
    project.git("tag", "v1.0.0")
    project.git("switch", "--quiet", "--create", "side")
    project.write("side.txt", "x")
    project.commit("feat!: side")
    project.git("switch", "--quiet", "main")
    project.write("main.txt", "x")
    project.commit("fix: main")
    project.git("merge", "--quiet", "--no-edit", "side")
    assert bump_of(line(project).commits, TYPES) == "major"

    project.git("revert", "--no-edit", "--mainline", "1", "HEAD")

    assert bump_of(line(project).commits, TYPES) == "patch"


# Lines by path ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(project: Project) -> Project:
    """Services `web` and `api` on one shared stage, released as 1.0.0 each, in independent mode."""
    project.append('\n[stages.base]\nfolder = "docker/base"\ntarget = "base"\n\n[release]\nmode = "independent"\n')
    project.write("docker/base/Dockerfile", "FROM scratch AS base\n")
    project.service("api", 18981, contexts='{ base = "stage:base" }', paths='["shared"]')
    project.commit("feat: two services")
    project.git("tag", "web/v1.0.0")
    project.git("tag", "--annotate", "--message", "x", "api/v1.0.0")
    return project


def since(project: Project) -> dict[str, list[str]]:
    """Return, for each line, the commits since its last release."""
    return {name: [one.description for one in history.commits] for name, history in read(project).lines.items()}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("docker/web/app.py", {"web": ["change"], "api": []}),
        ("docker/api/app.py", {"web": [], "api": ["change"]}),
        ("docker/base/tool", {"web": [], "api": ["change"]}),
        ("shared/text", {"web": [], "api": ["change"]}),
        ("README.md", {"web": [], "api": []}),
    ],
)
def test_a_line_follows_the_paths_it_is_built_from(two: Project, path: str, expected: dict[str, list[str]]) -> None:
    """A change counts only for services whose folder, shared stage or additional path it touches."""
    two.write(path, "x")
    two.commit("fix: change")

    assert since(two) == expected


def test_a_line_has_its_own_tags_and_branch(two: Project) -> None:
    """Each line finds its own last version; a higher one on an unmerged branch is taken, even if its paths did not change."""
    two.git("switch", "--quiet", "--create", "side")
    two.commit("chore: nothing that web is built from")
    two.git("tag", "web/v2.0.0")
    two.git("switch", "--quiet", "main")
    two.write("docker/web/app.py", "x")
    two.commit("fix: web")

    lines = read(two).lines

    assert {name: str(history.last) for name, history in lines.items()} == {"web": "1.0.0", "api": "1.0.0"}
    assert {str(one) for one in lines["web"].taken} == {"1.0.0", "2.0.0"}
    assert since(two) == {"web": ["web"], "api": []}


def test_g4_each_service_is_tagged_with_its_own_version(two: Project) -> None:
    """V4: the version computed for a service is the one its bake target gets, in independent mode as well."""
    two.write("docker/web/app.py", "x")
    commit = two.commit("fix: web")

    manifest = two.load()
    targets = preview(manifest, [])["target"]
    tags = {name: targets[name]["tags"] for name in manifest.services}

    assert tags == {
        "web": [f"{manifest.image('web')}:1.0.1-dev.1.g{commit[:7]}"],
        "api": [f"{manifest.image('api')}:1.0.0"],
    }
