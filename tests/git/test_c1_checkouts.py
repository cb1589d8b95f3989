"""The commit is the image: what a checkout of the commit writes is the commit, submodules included."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.clones import clone, read
from tests.support.inputs import POINTER, SILENT, found, put
from tests.support.project import Project

# What a checkout of the commit writes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attributes", ["*.txt eol=crlf", "*.txt text=auto", "* text=auto eol=lf", "*.txt ident", "*.txt binary"]
)
def test_c1_a_fresh_checkout_is_clean(app: Project, attributes: str) -> None:
    """What git writes by the commit's own .gitattributes is the commit's."""
    app.write(".gitattributes", f"{attributes}\n")
    app.write("docker/web/id.txt", "$Id$\n")
    app.commit("chore: attributes")
    shutil.rmtree(app.root / "docker/web")
    app.git("checkout", "--quiet", "HEAD", "--", "docker/web")
    if "crlf" in attributes:
        assert b"\r\n" in (app.root / "docker/web/data.txt").read_bytes()

    assert found(app) == {}
    assert found(app) == {}


def test_c1_an_encoding_of_the_commit_s_is_clean(app: Project) -> None:
    """working-tree-encoding of the commit's .gitattributes is what a checkout writes."""
    app.write(".gitattributes", "*.ps1 text working-tree-encoding=UTF-16LE eol=crlf\n")
    (app.root / "docker/web/a.ps1").write_bytes("größe\r\n".encode("utf-16-le"))
    app.commit("feat: script")

    assert found(app) == {}
    (app.root / "docker/web/a.ps1").write_bytes("grösse\r\n".encode("utf-16-le"))
    assert found(app) == {"docker/web/a.ps1": "changed"}


@pytest.mark.parametrize("how", ["core.autocrlf", "info/attributes", "core.attributesFile"])
def test_c1_line_endings_of_a_person_s_settings_are_a_change(app: Project, how: str) -> None:
    """Endings that only this checkout's settings ask for are not the commit's, though git says nothing."""
    if how == "core.autocrlf":
        app.git("config", "core.autocrlf", "true")
    elif how == "info/attributes":
        app.write(".git/info/attributes", "*.txt text eol=crlf\n")
    else:
        app.git("config", "core.attributesFile", str(app.write(".git/attributes", "*.txt text eol=crlf\n")))
    (app.root / "docker/web/data.txt").unlink()
    app.git("checkout", "--quiet", "HEAD", "--", "docker/web/data.txt")
    assert b"\r\n" in (app.root / "docker/web/data.txt").read_bytes()

    assert found(app) == {"docker/web/data.txt": f"changed{SILENT}"}


def _lfs(app: Project) -> str:
    from hashlib import sha256

    app.write(".gitattributes", "*.bin filter=lfs -text\n")
    pointer = POINTER.format(sha256(b"large" * 100).hexdigest(), 500)
    app.write("docker/web/model.bin", pointer)
    app.commit("feat: model")
    return pointer


def test_c1_an_lfs_pointer_instead_of_the_file(app: Project) -> None:
    """A Git LFS pointer is sent by nobody on purpose."""
    _lfs(app)

    for _ in range(2):
        (difference,) = read(app).differences
        assert str(difference) == "docker/web/model.bin (a Git LFS pointer instead of the file)"
        assert difference.fix == "git lfs pull"


def test_c1_the_file_that_an_lfs_pointer_names_is_clean(app: Project) -> None:
    """With its content, by hash and size, the file is the commit's; with other content it is not."""
    _lfs(app)
    app.write("docker/web/model.bin", "large" * 100)
    assert found(app) == {}
    assert found(app) == {}

    put(app, "docker/web/model.bin", "Large" * 100)

    assert found(app) == {"docker/web/model.bin": "changed"}


def test_c1_a_pointer_that_is_not_sent_does_not_matter(app: Project) -> None:
    """Nobody has to fetch what no image gets."""
    _lfs(app)
    app.write("docker/web/.dockerignore", "tests\n*.bin\n")
    app.commit("chore: exclude")

    assert found(app) == {}


# Submodules ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def outer(app: Project, tmp_path: Path) -> Project:
    """The project with a submodule in its context, whose `.git` is not sent."""
    inner = Project(tmp_path / "inner")
    inner.root.mkdir()
    inner.write("lib.py", "x = 1\n")
    inner.commit("feat: lib")
    app.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "docker/web/vendor")
    app.write("docker/web/.dockerignore", "tests\n**/.git\n")
    app.commit("feat: vendor")
    return app


def test_c1_a_submodule_at_its_commit_is_clean(outer: Project) -> None:
    """The entries of a submodule are those of the commit that is named for it."""
    assert found(outer) == {}


def test_c1_a_submodule_that_is_empty(outer: Project, tmp_path: Path) -> None:
    """A clone without --recurse-submodules is refused."""
    fresh = clone(outer, tmp_path / "fresh")

    (difference,) = read(fresh).differences
    assert str(difference) == "docker/web/vendor (a submodule that is not checked out)"
    assert "git submodule update --init" in difference.fix


def test_c1_a_submodule_at_another_commit(outer: Project) -> None:
    """Another commit of a submodule is named with both."""
    inner = Project(outer.root / "docker/web/vendor")
    pinned = inner.git("rev-parse", "--short=7", "HEAD")
    moved = inner.commit("feat: more")[:7]

    assert found(outer) == {"docker/web/vendor": f"a submodule at {moved}, and the commit has it at {pinned}"}


def test_c1_a_submodule_that_is_changed_inside(outer: Project) -> None:
    """Changed and additional files in a submodule are named, also where git was told to ignore them."""
    outer.git("config", "diff.ignoreSubmodules", "all")
    outer.write("docker/web/vendor/lib.py", "x = 2\n")
    outer.write("docker/web/vendor/new.py", "x = 2\n")

    assert found(outer) == {
        "docker/web/vendor/lib.py": "changed (in a submodule)", "docker/web/vendor/new.py": "not in the commit",
    }  # fmt: skip


def test_c1_the_git_file_of_a_submodule_is_left_out(outer: Project) -> None:
    """Without a rule for it, the .git of a submodule goes into no image, and is no difference."""
    outer.write("docker/web/.dockerignore", "tests\n")
    outer.commit("chore: send")

    assert found(outer) == {}
