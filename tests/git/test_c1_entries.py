"""The commit is the image: content, mode, kind and presence of each entry that a build sends."""

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
from build.git.inputs import compare
from build.images import fingerprint
from build.images.bake_file import Target
from build.images.contents import Reader
from build.left_out import Filter
from tests.support.inputs import found
from tests.support.machine import shut
from tests.support.project import Project


def _write(name: str, text: str = "x") -> Callable[[Project], object]:
    return lambda project: project.write(f"docker/web/{name}", text)


def _ignored(project: Project) -> None:
    project.write(".gitignore", ".uc/\n*.local\n")
    project.commit("chore: ignore")
    project.write("docker/web/settings.local", "TOKEN=1\n")


def _excluded(project: Project) -> None:
    project.write(".git/info/exclude", "settings.local\n")
    project.write("docker/web/settings.local", "TOKEN=1\n")


def _excludes_file(project: Project) -> None:
    project.git("config", "core.excludesFile", str(project.write(".git/all", "settings.local\n")))
    project.write("docker/web/settings.local", "TOKEN=1\n")


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
    "ignored by git": (_ignored, {"docker/web/settings.local": "ignored by git and still sent"}),
    "info/exclude": (_excluded, {"docker/web/settings.local": "ignored by git and still sent"}),
    "core.excludesFile": (_excludes_file, {"docker/web/settings.local": "ignored by git and still sent"}),
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
    "a repository in it": (_nested, {}),
    "an environment file": (_write("prod.env", "TOKEN=1\n"), {}),
    "a file with a token": (_write("notes.md", "gh" + "p_" + "a1B2" * 9 + "\n"), {}),
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
    for difference in compare(app.load()).differences:
        subprocess.run(difference.fix.partition(", and")[0], shell=True, cwd=app.root, check=True)
    assert found(app) == {}


def _fingerprint(project: Project) -> str:
    target: Target = {
        "context": str(project.root / "docker/web"), "dockerfile": "Dockerfile", "contexts": {}, "secret": []
    }  # fmt: skip
    return fingerprint.of_target({"web": target}, "web", {}, Reader(compare(project.load())))


def test_c1_a_folder_that_can_t_be_read_is_named() -> None:
    """A build could not send it either: the error has its path and what helps."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        root = Path(name)
        root.chmod(0o755)
        (root / "pkg").mkdir()
        area = Area(context=Context(folder=root), root=root, path="", rules=Rules(""), kept=set(), filter=Filter())

        refused = pytest.raises(RepositoryError, match=r"^pkg can't be read")
        with shut(root / "pkg"), refused as caught, inputs._readable(root):
            area.walk()

    assert ".dockerignore" in caught.value.hint
