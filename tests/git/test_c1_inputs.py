"""C1: the commit is the image. Each way in which a build could send something else than the commit has is told apart."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from build.dockerignore import Rules
from build.errors import RepositoryError
from build.git import inputs
from build.git.contexts import Area, Context
from build.git.inputs import compare, source_commits
from build.images import fingerprint
from build.images.bake_file import Target
from build.images.build import snapshots
from tests.support.clones import clone, read, reasons
from tests.support.machine import shut
from tests.support.project import Project

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
SILENT = "; git status does not show it: a flag of the index, or a setting"


@pytest.fixture
def app(project: Project) -> Project:
    """A project whose one context has a file, a program, a link and a folder, committed and clean."""
    project.write("docker/web/data.txt", "one\ntwo\n")
    project.write("docker/web/run.sh", "#!/bin/sh\n").chmod(0o755)
    (project.root / "docker/web/link").symlink_to("data.txt")
    project.write("docker/web/pkg/mod.py", "x = 1\n")
    project.write("docker/web/tests/test_mod.py", "assert 1\n")
    project.write("docker/web/.dockerignore", "tests\n")
    project.commit("feat: app")
    return project


def put(project: Project, name: str, text: str) -> None:
    """Write other text of the same length into the same file, and give it its old time back."""
    path = project.root / name
    before = path.stat()
    assert len(text) == before.st_size
    with path.open("r+") as file:
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def found(project: Project) -> dict[str, str]:
    """The reasons of the checkout; its version says the same."""
    history = read(project)
    assert snapshots(project.load(), history)["web"].endswith(".dirty") == history.dirty == bool(reasons(history))
    return reasons(history)


def _write(name: str, text: str = "x") -> Callable[[Project], object]:
    return lambda project: project.write(f"docker/web/{name}", text)


def _ignored(project: Project) -> None:
    project.write(".gitignore", ".uc/\n*.env\n")
    project.commit("chore: ignore")
    project.write("docker/web/prod.env", "TOKEN=1\n")


def _excluded(project: Project) -> None:
    project.write(".git/info/exclude", "prod.env\n")
    project.write("docker/web/prod.env", "TOKEN=1\n")


def _excludes_file(project: Project) -> None:
    project.git("config", "core.excludesFile", str(project.write(".git/all", "prod.env\n")))
    project.write("docker/web/prod.env", "TOKEN=1\n")


def _added(project: Project) -> None:
    project.write("docker/web/new.txt", "x")
    project.git("add", "--all")


def _kind(name: str, make: Callable[[Path], object]) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        path = project.root / "docker/web" / name
        path.unlink()
        make(path)

    return change


def _socket(project: Project) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(project.root / "docker/web/sock"))


def _nested(project: Project) -> None:
    Project(project.root / "docker/web/pkg").git("init", "--quiet")


ENTRIES: dict[str, tuple[Callable[[Project], object], dict[str, str]]] = {
    "nothing": (lambda _: None, {}),
    "a file that is not sent": (_write("tests/other.txt"), {}),
    "changed": (_write("data.txt", "other"), {"docker/web/data.txt": "changed"}),
    "changed and staged": (
        lambda p: (p.write("docker/web/data.txt", "other"), p.git("add", "--all")), {"docker/web/data.txt": "changed"},
    ),
    "untracked": (_write("new.txt"), {"docker/web/new.txt": "not in the commit"}),
    "added": (_added, {"docker/web/new.txt": "not in the commit"}),
    "an untracked folder": (
        lambda p: (p.write("docker/web/new/a", "x"), p.write("docker/web/new/b/c", "x")),
        {"docker/web/new/": "not in the commit, 2 files"},
    ),
    "ignored by git": (_ignored, {"docker/web/prod.env": "ignored by git and still sent"}),
    "info/exclude": (_excluded, {"docker/web/prod.env": "ignored by git and still sent"}),
    "core.excludesFile": (_excludes_file, {"docker/web/prod.env": "ignored by git and still sent"}),
    "executable": (
        lambda p: (p.root / "docker/web/data.txt").chmod(0o755),
        {"docker/web/data.txt": "executable here, not in the commit"},
    ),
    "not executable": (
        lambda p: (p.root / "docker/web/run.sh").chmod(0o644),
        {"docker/web/run.sh": "executable in the commit, not here"},
    ),
    "a link for a file": (
        _kind("data.txt", lambda path: path.symlink_to("run.sh")),
        {"docker/web/data.txt": "a link here, a file in the commit"},
    ),
    "a file for a link": (
        _kind("link", lambda path: path.write_text("data.txt")),
        {"docker/web/link": "a file here, a link in the commit"},
    ),
    "another target": (
        _kind("link", lambda path: path.symlink_to("run.sh")), {"docker/web/link": "changed"},
    ),
    "a folder for a file": (
        _kind("data.txt", lambda path: path.mkdir()), {"docker/web/data.txt": "a folder here, a file in the commit"},
    ),
    "a pipe for a file": (
        _kind("data.txt", os.mkfifo), {"docker/web/data.txt": "something else here, a file in the commit"},
    ),
    "a pipe": (
        lambda p: os.mkfifo(p.root / "docker/web/pipe"),
        {"docker/web/pipe": "neither a file nor a link, which no commit can have"},
    ),
    "a socket": (_socket, {"docker/web/sock": "neither a file nor a link, which no commit can have"}),
    "an empty folder": (
        lambda p: (p.root / "docker/web/void/in").mkdir(parents=True),
        {"docker/web/void/": "an empty folder, which no commit can have"},
    ),
    "deleted": (lambda p: (p.root / "docker/web/data.txt").unlink(), {"docker/web/data.txt": "deleted"}),
    "a deleted folder": (lambda p: shutil.rmtree(p.root / "docker/web/pkg"), {"docker/web/pkg/mod.py": "deleted"}),
    "removed from the index only": (lambda p: p.git("rm", "--quiet", "--cached", "docker/web/data.txt"), {}),
    "a repository in it": (_nested, {"docker/web/pkg/.git/": "git's own files"}),
    "the Dockerfile, which is excluded": (
        lambda p: (p.write("docker/web/.dockerignore", "*\n"), p.commit("x"), p.write("docker/web/Dockerfile", "FROM x\n")),
        {"docker/web/Dockerfile": "changed"},
    ),
    "an ignore file that is not in git": (
        _write("Dockerfile.dockerignore", "tests\n"), {"docker/web/Dockerfile.dockerignore": "not in the commit"},
    ),
    "names of all kinds": (
        lambda p: [p.write(f"docker/web/{name}", "x") for name in ("-x", "a b", "n\nl", "ü", "[a]", "*", "\t", '"')],
        {
            f"docker/web/{name}": "not in the commit"
            for name in ("-x", "a b", r"n\nl", "ü", "[a]", "*", r"\t", '"')
        },
    ),
    "the manifest": (lambda p: p.append("# more\n"), {"versions.toml": "changed"}),
}  # fmt: skip


@pytest.mark.parametrize("case", ENTRIES)
def test_c1_each_difference_of_an_entry_is_named(app: Project, case: str) -> None:
    """Content, exec bit, kind and presence of every entry that is sent are the commit's, or it is named with its reason."""
    change, expected = ENTRIES[case]
    change(app)

    assert found(app) == expected
    assert found(app) == expected  # with what the first look has left behind


MODES: dict[str, tuple[Callable[[Project], object], dict[str, str]]] = {
    "a file for its owner only": (
        lambda p: (p.root / "docker/web/data.txt").chmod(0o600),
        {"docker/web/data.txt": "mode 0600, which no checkout has"},
    ),
    "a program that others can't run": (
        lambda p: (p.root / "docker/web/run.sh").chmod(0o744),
        {"docker/web/run.sh": "mode 0744, which no checkout has"},
    ),
    "a special bit": (
        lambda p: (p.root / "docker/web/run.sh").chmod(0o4755),
        {"docker/web/run.sh": "mode 4755, which no checkout has"},
    ),
    "a folder for its owner only": (
        lambda p: (p.root / "docker/web/pkg").chmod(0o700),
        {"docker/web/pkg": "mode 0700, which no checkout has"},
    ),
    "a group that may write": (lambda p: (p.root / "docker/web/data.txt").chmod(0o664), {}),
    "what is not sent": (lambda p: (p.root / "docker/web/tests/test_mod.py").chmod(0o600), {}),
}


@pytest.mark.parametrize("case", MODES)
def test_c1_a_mode_that_git_does_not_keep_is_sent_all_the_same(app: Project, case: str) -> None:
    """What only its owner can read here, nobody can in the image: named, also after a look that found nothing."""
    change, expected = MODES[case]
    assert found(app) == {}
    before = _fingerprint(app)
    change(app)

    assert found(app) == expected
    assert found(app) == expected
    if any("/pkg" not in path for path in expected):
        assert _fingerprint(app) != before


def _fingerprint(project: Project) -> str:
    target: Target = {
        "context": str(project.root / "docker/web"), "dockerfile": "Dockerfile", "contexts": {}, "secret": []
    }  # fmt: skip
    return fingerprint.of_target({"web": target}, "web", {}, compare(project.load()))


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


def test_c1_the_git_file_of_a_submodule_is_sent(outer: Project) -> None:
    """Without a rule for it, the .git of a submodule goes into the image."""
    outer.write("docker/web/.dockerignore", "tests\n")
    outer.commit("chore: send")

    assert found(outer) == {"docker/web/vendor/.git": "git's own files"}


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
    assert source_commits(manifest) == {"watched": other.git("rev-parse", "HEAD")}

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


def test_c1_a_whole_checkout_as_a_source_sends_its_git_folder(pointed: Project, tmp_path: Path) -> None:
    """The top of a repository is a source when its .dockerignore leaves .git out."""
    other = _other(tmp_path / "other")
    manifest = pointed.load(UC_SOURCES_WATCHED="../other")
    assert [one.reason for one in compare(manifest).differences] == ["git's own files"]

    other.write(".dockerignore", ".git\n")
    other.commit("chore: exclude")

    assert compare(manifest).differences == ()


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


# What is kept between runs ------------------------------------------------------------------------------------------


def test_c1_a_change_in_the_second_of_the_last_look_is_seen(app: Project) -> None:
    """A stat cache proves nothing about the second that it was written in."""
    path = app.root / "docker/web/data.txt"
    for text in ("ONE\ntwo\n", "one\ntwo\n", "one\nTWO\n", "one\ntwo\n") * 3:
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert (found(app) == {}) == (path.read_text() == "one\ntwo\n")
        put(app, "docker/web/data.txt", text)


def _private(app: Project) -> Path:
    read(app)
    (folder,) = (path for path in app.load().workspace.trees.iterdir() if path.is_dir())
    return folder


def _index(folder: Path) -> Path:
    (index,) = (path for path in folder.glob("index-*") if "." not in path.name)
    return index


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no index": lambda folder: _index(folder).unlink(),
    "an empty index": lambda folder: _index(folder).write_bytes(b""),
    "a cut index": lambda folder: _index(folder).write_bytes(_index(folder).read_bytes()[:-30]),
    "a flipped bit": lambda folder: _index(folder).write_bytes(
        (old := _index(folder).read_bytes())[:60] + bytes([old[60] ^ 1]) + old[61:]
    ),
    "HEAD": lambda folder: (folder / "HEAD").write_text("nonsense\n"),
    "config": lambda folder: (folder / "config").write_text("[nonsense\n"),
    "no refs": lambda folder: shutil.rmtree(folder / "refs"),
    "a lock": lambda folder: (folder / f"{_index(folder).name}.lock").touch(),
    "a lock of git's": lambda folder: (folder / "index.lock").touch(),
    "what a killed run left": lambda folder: (folder / f"{_index(folder).name}.99999999.0.lock").touch(),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_c1_what_is_kept_may_be_damaged(app: Project, damage: str) -> None:
    """Whatever a kill or a disk does to what is kept, the verdict stays right."""
    folder = _private(app)
    DAMAGE[damage](folder)
    assert found(app) == {}
    DAMAGE[damage](_private(app))
    app.write("docker/web/data.txt", "ONE\ntwo\n")

    assert found(app) == {"docker/web/data.txt": "changed"}


def test_c1_nothing_can_be_kept(app: Project) -> None:
    """Where .uc can't be written, the comparison works as well."""
    app.write(".uc", "a file")

    assert compare(app.load()).differences == ()
    app.write("docker/web/data.txt", "ONE\ntwo\n")
    assert [one.path for one in compare(app.load()).differences] == ["docker/web/data.txt"]


def test_c1_another_commit_is_compared_with_itself(app: Project) -> None:
    """After a commit, a switch and a reset, the files are compared with what HEAD is now."""
    app.write("docker/web/data.txt", "ONE\ntwo\n")
    assert found(app) == {"docker/web/data.txt": "changed"}
    app.commit("feat: other")
    assert found(app) == {}
    app.git("reset", "--quiet", "--soft", "HEAD~1")
    assert found(app) == {"docker/web/data.txt": "changed"}
    app.git("reset", "--quiet", "--hard")
    assert found(app) == {}


def test_c1_many_at_once(app: Project) -> None:
    """Runs in one checkout at the same time agree."""
    app.write("docker/web/data.txt", "ONE\ntwo\n")
    code = (
        "import os; from pathlib import Path; from build.config.load import load; from build.git.inputs import compare; "
        "print([str(one) for one in compare(load(Path(), {})).differences])"
    )
    import sys

    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=app.root, env=app.environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]

    assert {run.communicate()[0] for run in runs} == {"['docker/web/data.txt (changed)']\n"}
    assert [path.name.count(".") for path in _private(app).glob("index-*")] == [0]


def test_c1_a_folder_that_can_t_be_read_is_named() -> None:
    """A build could not send it either: the error has its path and what helps."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        root = Path(name)
        root.chmod(0o755)
        (root / "pkg").mkdir()
        area = Area(context=Context(folder=root), root=root, path="", rules=Rules(""), kept=set())

        refused = pytest.raises(RepositoryError, match=r"^pkg can't be read")
        with shut(root / "pkg"), refused as caught, inputs._readable(root):
            area.walk()

    assert ".dockerignore" in caught.value.hint
