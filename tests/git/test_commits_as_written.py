"""Commits as people and forges write them, in real git and through the tasks that read them."""

from __future__ import annotations

import pytest

from build.git.commits import Bump, bump_of, standing
from build.git.releases import sections
from tests.support.clones import line, read
from tests.support.project import Project

TYPES: dict[str, Bump] = {"feat": "minor", "fix": "patch", "revert": "patch"}


def test_v1_version_and_check_name_what_looks_conventional(project: Project) -> None:
    """`version` warns, its JSON lists hash, header and repair, and the check refuses with the same repair."""
    project.git("tag", "v1.0.0")
    project.commit("fix: a")
    commit = project.commit("refactor!(api): b")

    shown, document, checked = (
        project.inv("version"), project.inv("version", "--json"), project.inv("commits.check", "--range", "v1.0.0..")
    )  # fmt: skip

    warning = f"{commit[:7]} 'refactor!(api): b' is not a Conventional Commit: probably 'refactor(api)!: b'"
    assert f"warning: {warning}" in shown.stderr
    assert document.result["lines"][0]["near_misses"] == [
        {"commit": commit, "header": "refactor!(api): b", "suggestion": "refactor(api)!: b"}
    ]
    assert checked.code == 3
    assert "expected type(scope): description; probably 'refactor(api)!: b'" in checked.stderr


def test_v1_only_commits_since_the_last_release_are_named(project: Project) -> None:
    """Commits that are released are not warned of again."""
    project.commit("feat:x")
    project.git("tag", "v1.0.0")
    project.commit("fix: a")

    assert "warning" not in project.inv("version").text


def test_v1_a_mark_inside_the_scope_is_refused(project: Project) -> None:
    """`fix(api!): x` is a Conventional Commit that breaks nothing, which nobody means."""
    project.git("tag", "v1.0.0")
    project.commit("fix(api!): x")

    refused = project.inv("commits.check", "--range", "v1.0.0..")

    assert refused.code == 3
    assert "the ! stands inside the scope, where it breaks nothing; probably 'fix(api)!: x'" in refused.stderr


def test_v2_a_squashed_revert_leaves_nothing_to_release(project: Project) -> None:
    """A reverted breaking change bumps nothing and is in no changelog."""
    project.git("tag", "v1.0.0")
    project.commit("feat!: a (#11)")
    project.commit('Revert "feat!: a (#11)" (#12)\n\nReverts owner/repo#11')

    assert bump_of(line(project).commits, TYPES) == "none"
    assert "(#11)" not in project.inv("changelog").stdout


def _request(project: Project, title: str, path: str, *commits: str) -> None:
    """Merge a branch as GitHub does, with its commits in `path`; meanwhile the main branch changes api."""
    project.git("switch", "--quiet", "--create", "topic")
    for number, message in enumerate(commits):
        project.write(f"docker/{path}/{number}", message)
        project.commit(message)
    project.git("switch", "--quiet", "main")
    project.write("docker/api/meanwhile", title)
    project.commit("docs: meanwhile")
    project.git("merge", "--quiet", "--no-ff", "topic", "--message", f"Merge pull request #7 from me/topic\n\n{title}")
    project.git("branch", "--quiet", "--delete", "topic")


@pytest.mark.parametrize(("setting", "bump"), [("", "patch"), ("merge_titles = true\n", "minor")])
def test_v3_a_merge_title_counts_by_the_setting(project: Project, setting: str, bump: Bump) -> None:
    """Off, the commits of the branch count and the title does not; on, it counts beside them."""
    project.append(f"\n[release]\n{setting}")
    project.commit("chore: settings")
    project.git("tag", "v1.0.0")
    _request(project, "feat: a", "web", "fix: b", "wip")

    assert bump_of(line(project).commits, TYPES) == bump
    assert line(project).distance == 4
    assert ("- a (" in project.inv("changelog").stdout) == bool(setting)


def test_v3_with_own_lines_a_title_counts_for_the_services_that_it_changed(empty_project: Project) -> None:
    """A merge that brought changes of web counts for web, though api changed on the main branch meanwhile."""
    project = empty_project
    project.append('\n[release]\nmode = "independent"\nmerge_titles = true\n')
    project.service("web", 18980)
    project.service("api", 18981)
    project.commit("feat: start")
    for name in ("web", "api"):
        project.git("tag", f"{name}/v1.0.0")
    _request(project, "feat: a", "web", "fix: b")

    found = {name: [one.header for one in standing(one.commits)] for name, one in read(project).lines.items()}
    listed = {
        one.line: [commit.header for commit in standing(one.commits)][:2] for one in sections(project.load())[::2]
    }

    assert found == {"web": ["feat: a", "fix: b"], "api": ["docs: meanwhile"]}
    assert listed == {"web": ["feat: a", "fix: b"], "api": ["docs: meanwhile"]}
    assert {name: one.distance for name, one in read(project).lines.items()} == {"web": 1, "api": 1}


def test_v3_the_check_reads_titles_that_count(project: Project) -> None:
    """With the setting, a title that looks conventional and is not is refused as a commit would be."""
    project.append("\n[release]\nmerge_titles = true\n")
    project.commit("chore: settings")
    project.git("tag", "v1.0.0")
    _request(project, "feat!(api): a", "web", "fix: b")

    refused = project.inv("commits.check", "--range", "v1.0.0..")

    assert refused.code == 3
    assert "'feat!(api): a': expected type(scope): description; probably 'feat(api)!: a'" in refused.stderr


@pytest.mark.parametrize(("setting", "bump"), [("", "none"), ("squash_bodies = true\n", "minor")])
def test_v4_a_squash_body_counts_by_the_setting(project: Project, setting: str, bump: Bump) -> None:
    """On, what the body lists is read as commits; off, it is text."""
    project.append(f"\n[release]\n{setting}")
    project.commit("chore: settings")
    project.git("tag", "v1.0.0")
    project.commit("All of it (#12)\n\n* feat: a\n\n* fix(web): b")

    assert bump_of(line(project).commits, TYPES) == bump
    assert ("- **web:** b (" in project.inv("changelog").stdout) == bool(setting)
