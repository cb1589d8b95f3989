"""The commit is the image: no flag, setting or variable of whoever made the checkout hides a difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from build.git.inputs import compare
from tests.support.clones import read
from tests.support.inputs import SILENT, found, put
from tests.support.project import Project


def _set(*settings: str) -> Callable[[Project], object]:
    return lambda project: [project.git("config", *setting.split("=", 1)) for setting in settings]


def _flag(flag: str) -> Callable[[Project], object]:
    return lambda project: project.git("update-index", flag, "docker/web/data.txt")


def _replaced(project: Project) -> None:
    blob = project.git("hash-object", "-w", str(project.write(".git/other", "ONE\ntwo\n")))
    project.git("replace", project.git("rev-parse", "HEAD:docker/web/data.txt"), blob)


def _replaced_tree(project: Project) -> None:
    project.write("docker/web/data.txt", "ONE\ntwo\n")
    commit = project.commit("other")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    project.git("replace", "HEAD", commit)


def _attribute(line: str, **config: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        project.write(".git/info/attributes", f"{line}\n")
        for key, value in config.items():
            project.git("config", key.replace("_", "."), value)

    return change


HIDING: dict[str, Callable[[Project], object]] = {
    "nothing": lambda _: None,
    "assume-unchanged": _flag("--assume-unchanged"),
    "skip-worktree": _flag("--skip-worktree"),
    "core.ignoreStat": _set("core.ignoreStat=true"),
    "core.trustctime and checkStat": _set("core.trustctime=false", "core.checkStat=minimal"),
    "core.fsmonitor": _set("core.fsmonitor=true"),
    "core.fsmonitor, a hook": lambda p: _set(f"core.fsmonitor={_script(p, 'printf token')}")(p),
    "core.untrackedCache": _set("core.untrackedCache=true"),
    "core.splitIndex": _set("core.splitIndex=true"),
    "core.fileMode and symlinks": _set("core.fileMode=false", "core.symlinks=false"),
    "core.autocrlf": _set("core.autocrlf=true"),
    "core.eol": _set("core.eol=crlf"),
    "a filter": _attribute("*.txt filter=f", filter_f_clean="printf 'one\\ntwo\\n'"),
    "ident": _attribute("*.txt ident"),
    "a replaced blob": _replaced,
    "a replaced commit": _replaced_tree,
    "status.showUntrackedFiles": _set("status.showUntrackedFiles=no"),
    "diff.ignoreSubmodules": _set("diff.ignoreSubmodules=all"),
    "sparse index": _set("index.sparse=true", "core.sparseCheckout=true"),
}


def _script(project: Project, body: str) -> Path:
    path = project.write(".git/hook", f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("hiding", HIDING)
def test_c1_no_flag_and_no_setting_hides_a_change(app: Project, hiding: str) -> None:
    """A file of the same size with its old time is seen, whatever the index or a setting says of it."""
    HIDING[hiding](app)
    app.git("status")
    assert found(app) == {}

    put(app, "docker/web/data.txt", "ONE\ntwo\n")

    assert found(app)["docker/web/data.txt"].removesuffix(SILENT) == "changed"


def test_c1_a_hidden_change_says_that_git_status_is_silent(app: Project) -> None:
    """What git's own status does not show is named with the commands that make it visible."""
    app.git("update-index", "--assume-unchanged", "docker/web/data.txt")
    app.write("docker/web/data.txt", "other")
    (difference,) = read(app).differences

    assert difference.reason == f"changed{SILENT}"
    assert "git update-index --no-assume-unchanged --no-skip-worktree" in difference.fix


@pytest.mark.parametrize(
    ("setting", "name", "mode"), [("core.fileMode", "run.sh", 0o644), ("core.fileMode", "data.txt", 0o755)]
)
def test_c1_a_mode_that_git_does_not_look_at(app: Project, setting: str, name: str, mode: int) -> None:
    """The exec bit counts even where git was told that it does not."""
    app.git("config", setting, "false")
    (app.root / "docker/web" / name).chmod(mode)

    assert "executable" in found(app)[f"docker/web/{name}"]


def test_c1_a_file_in_place_of_a_link_where_git_makes_files(app: Project) -> None:
    """core.symlinks = false writes links as files, and files are what an image would get."""
    app.git("config", "core.symlinks", "false")
    (app.root / "docker/web/link").unlink()
    app.git("checkout", "--quiet", "docker/web/link")

    assert found(app) == {"docker/web/link": f"a file here, a link in the commit{SILENT}"}


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"])
def test_c1_no_variable_hides_a_change(
    app: Project, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of git's own that leads elsewhere is not followed."""
    app.write("docker/web/data.txt", "other")
    manifest = app.load()
    monkeypatch.setenv(name, str(tmp_path / "elsewhere"))

    assert [str(one) for one in compare(manifest).differences] == ["docker/web/data.txt (changed)"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GIT_CONFIG_PARAMETERS", "'core.filemode=false'"), ("GIT_LITERAL_PATHSPECS", "1"), ("GIT_ICASE_PATHSPECS", "1")],
)
def test_c1_no_variable_with_a_setting_hides_a_mode(
    app: Project, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that come by the environment decide no verdict."""
    (app.root / "docker/web/run.sh").chmod(0o644)
    manifest = app.load()
    monkeypatch.setenv(variable, value)

    assert [one.path for one in compare(manifest).differences] == ["docker/web/run.sh"]


def test_c1_a_sparse_checkout_lacks_what_is_sent(app: Project) -> None:
    """A file that a sparse checkout left out is missing in the image: it is named with the command that brings it."""
    app.git("sparse-checkout", "set", "--no-cone", "/*", "!docker/web/data.txt")

    (difference,) = read(app).differences
    assert str(difference) == "docker/web/data.txt (not checked out)"
    assert "git sparse-checkout disable" in difference.fix
    app.git("sparse-checkout", "disable")
    assert found(app) == {}


def test_c1_a_sparse_checkout_of_all_that_is_sent_is_clean(app: Project) -> None:
    """What no build sends may be left out."""
    app.write("other/big.bin", "x")
    app.commit("chore: more")
    app.git("sparse-checkout", "set", "--no-cone", "/*", "!/other", "!docker/web/tests")

    assert found(app) == {}
