"""What may release: which tree, which branch, which machine, on which bases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from build.config.manifest import ReleaseSettings
from build.errors import ReleaseRefused, RepositoryError
from build.git.comparison import Difference
from build.git.versions import History
from build.images.bases import Resolved
from build.release import preflight
from build.release.plan import Plan, PlannedLine, PlannedService
from build.release.request import Request
from tests.support.project import Project

HISTORY = History(
    commit="c" * 40, committed=0, branch="main", shallow=False, dirty=False, changed=(), differences=(),
    remote="", lines={},
)  # fmt: skip
STRAY = Difference(path="stray", reason="not in the commit", fix="commit it")
SETTINGS = ReleaseSettings()


@pytest.mark.parametrize("branch", ["main", "master", "1.3.x", "2.x"])
def test_a_release_branch_may(branch: str) -> None:
    """The branches of the manifest release, maintenance branches among them."""
    preflight.check_tree(replace(HISTORY, branch=branch), SETTINGS)


@pytest.mark.parametrize(
    ("branch", "said"), [("feature", "branch feature"), ("x/main", "branch x/main"), (None, "a detached HEAD")]
)
def test_another_branch_may_not(branch: str | None, said: str) -> None:
    """Any other branch is refused by its name, with those that may."""
    with pytest.raises(ReleaseRefused, match=f"{said} does not release: .* main, master") as caught:
        preflight.check_tree(replace(HISTORY, branch=branch), SETTINGS)

    assert caught.value.hint == "git switch main"


def test_g2_a_dirty_tree_is_not_released() -> None:
    """What is changed and what is not in git but enters an image is named, eight at most."""
    changed = tuple(f"file-{number}" for number in range(9))

    with pytest.raises(
        RepositoryError,
        match=r"stray \(not in the commit\), file-0 \(not committed\), .*file-6 \(not committed\) and 2 more",
    ):
        preflight.check_tree(replace(HISTORY, dirty=True, changed=changed, differences=(STRAY,)), SETTINGS)
    with pytest.raises(RepositoryError, match=r"stray \(not in the commit\)") as caught:
        preflight.check_tree(replace(HISTORY, dirty=True, differences=(STRAY,)), SETTINGS)
    assert caught.value.hint == STRAY.fix


@pytest.mark.parametrize(
    ("authority", "environment", "local", "who"),
    [
        ("any", {}, False, "local"),
        ("any", {"CI": "true"}, False, "CI"),
        ("ci", {"GITLAB_CI": "true", "CI": "true"}, False, "GitLab CI"),
        ("ci", {}, True, "local"),
    ],
)
def test_who_makes_the_release(authority: Any, environment: dict[str, str], local: bool, who: str) -> None:
    """A CI job is named by its system; a person is "local", where that is allowed or asked for."""
    assert preflight.authority(replace(SETTINGS, authority=authority), environment, local=local) == who


def test_a_person_may_not_where_ci_is_the_authority() -> None:
    """The refusal names the setting and the flag that is recorded."""
    with pytest.raises(ReleaseRefused, match=r"authority is 'ci'") as caught:
        preflight.authority(replace(SETTINGS, authority="ci"), {}, local=False)

    assert "--local" in caught.value.hint


def test_a_stand_in_must_be_allowed_by_name(empty_project: Project) -> None:
    """A base that is a stand-in is refused by its name, unless [release] stand_ins has it; an upstream one never is."""
    empty_project.service("web", 18980, bases='["python"]')
    manifest = empty_project.load()
    service = PlannedService(service="web", action="build", why="", fingerprint="f")
    line = PlannedLine(line="x", version="1.0.0", tag="v1.0.0", previous="", bump="", services=(service,), tags=())
    made = Plan(commit="", registry="", request=Request(), basis={}, lines=(line,))
    base = Resolved(
        key="python",
        recipe="",
        context="docker-image://x",
        reference="python:3.12-slim",
        source="stand-in",
        digest="sha256:0",
    )

    with pytest.raises(ReleaseRefused, match=r"python \(python:3\.12-slim\)") as caught:
        preflight.check_bases(manifest, made, {"python": base})

    assert "UC_RELEASE_STAND_INS=python" in caught.value.hint
    preflight.check_bases(manifest, made, {"python": replace(base, source="upstream")})
    preflight.check_bases(empty_project.load(UC_RELEASE_STAND_INS="python"), made, {"python": base})
