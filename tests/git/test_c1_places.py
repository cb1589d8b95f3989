"""The commit is the image, wherever its repository and its sources lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from build.git.inputs import compare
from tests.support.clones import read
from tests.support.inputs import found
from tests.support.project import Project

# Places -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pointed(app: Project) -> Project:
    """A project with a source that is not configured yet."""
    app.service("api", 18981, contexts='{ tree = "source:watched" }')
    app.commit("feat: api")
    return app


def _other(folder: Path) -> Project:
    other = Project(folder)
    other.root.mkdir(parents=True)
    other.write("Modules/one.psm1", "1\n")
    other.write("notes.md", "1\n")
    other.commit("feat: one")
    return other


def test_c1_a_source_in_another_repository_is_compared_with_its_head(pointed: Project, tmp_path: Path) -> None:
    """A clean checkout of another repository is releasable, and its commit is known."""
    other = _other(tmp_path / "other")
    manifest = pointed.load(UC_SOURCES_WATCHED="../other/Modules")
    assert compare(manifest).differences == ()
    assert compare(manifest).commits == {"watched": other.git("rev-parse", "HEAD")}

    other.write("notes.md", "2\n")
    other.write("Modules/one.psm1", "2\n")

    assert [one.reason for one in compare(manifest).differences] == ["changed"]


def test_c1_a_source_in_no_repository_can_t_be_compared(pointed: Project, tmp_path: Path) -> None:
    """What no commit can have is named, with the way out."""
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/a").touch()

    (difference,) = read(pointed, UC_SOURCES_WATCHED="../loose").differences
    assert (difference.path, difference.reason) == ("../loose", "in no git repository, so no commit has it")
    assert difference.fix


def test_c1_the_top_of_a_checkout_is_a_source(pointed: Project, tmp_path: Path) -> None:
    """Its .git is left out without a rule in .dockerignore."""
    _other(tmp_path / "other")

    assert compare(pointed.load(UC_SOURCES_WATCHED="../other")).differences == ()


def test_c1_a_source_in_a_submodule_is_that_of_the_commit(pointed: Project, tmp_path: Path) -> None:
    """A folder in a submodule is compared with the commit that the project names, not with the submodule's HEAD."""
    other = _other(tmp_path / "other")
    pointed.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "uca")
    pointed.commit("feat: uca")
    manifest = pointed.load(UC_SOURCES_WATCHED="uca/Modules")
    assert compare(manifest).differences == ()

    Project(pointed.root / "uca").commit("feat: more")

    assert "in a submodule at" in compare(manifest).differences[0].reason


def test_c1_a_context_behind_a_link_is_the_commit_s(app: Project) -> None:
    """A link on the way to a context counts too: an own link to a folder that is in git is not the commit's."""
    app.write("elsewhere/web/Dockerfile", "FROM scratch\n")
    app.commit("feat: elsewhere")
    (app.root / "docker").rename(app.root / "docker.old")
    (app.root / "docker").symlink_to("elsewhere")

    assert found(app)["docker"] == "not in the commit"


@pytest.mark.parametrize("how", ["worktree", "shallow", "blobless", "sha256", "below", "linked"])
def test_c1_every_kind_of_clone(app: Project, tmp_path: Path, how: str) -> None:
    """Linked worktrees, shallow and partial clones, SHA-256 repositories, projects below the top: a change is seen."""
    place = tmp_path / "place"
    if how == "worktree":
        app.git("worktree", "add", "--quiet", "-b", "side", str(place))
    elif how in {"shallow", "blobless"}:
        app.git("config", "uploadpack.allowFilter", "true")
        app.git(
            "clone",
            "--quiet",
            *(["--depth=1"] if how == "shallow" else ["--filter=blob:none"]),
            f"file://{app.root}",
            str(place),
        )
    else:
        top = place if how == "sha256" else tmp_path / "top"
        shutil.copytree(
            app.root,
            top / "sub" if how == "below" else top,
            ignore=shutil.ignore_patterns(".git", ".uc"),
            symlinks=True,
        )
        Project(top).git("init", "--quiet", f"--object-format={'sha256' if how == 'sha256' else 'sha1'}")
        Project(top).commit("feat: all")
        if how == "linked":
            place.symlink_to(top)
        elif how == "below":
            place = top / "sub"
    other = Project(place)
    assert compare(other.load()).differences == ()

    other.write("docker/web/data.txt", "ONE\ntwo\n")

    assert [str(one) for one in compare(other.load()).differences] == ["docker/web/data.txt (changed)"]
