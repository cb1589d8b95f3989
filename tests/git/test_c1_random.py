"""C1 on random trees: the verdict is that of a slow comparison that reads every file and every entry of the commit."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build.dockerignore import Rules
from build.git.inputs import compare
from tests.support.project import MINIMAL, PYTHON, Project

NAMES = ("a", "b.md", "run", "-x", "ü", "d", ".env")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
RULES = st.lists(
    st.sampled_from(("*.md", "**/*.md", "d", "d/*", "!d/a", "!**/run", "a/**", "-x", "**/.env", "*", "!a", "?", "[ab]*")),
    max_size=4,
)  # fmt: skip
ENTRIES = st.dictionaries(PATHS, st.sampled_from(("text", "other", "program", "link")), max_size=8)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("text", "other", "program", "link", "delete", "folder", "pipe", "assume", "skip", "ignore", "add")),
        PATHS,
    ),
    max_size=6,
)  # fmt: skip


def _put(path: Path, what: str) -> None:
    """Make an entry at a path, in place of what is there or in its way."""
    for above in reversed(path.parents):
        if os.path.lexists(above) and (above.is_symlink() or not above.is_dir()):
            above.unlink()
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "link":
        path.symlink_to("a")
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what != "delete":
        path.write_text({"text": "one\n", "other": "two\n", "program": "one\n"}[what])
        path.chmod(0o755 if what == "program" else 0o644)


def _change(project: Project, what: str, path: str) -> None:
    full = f"docker/web/{path}"
    if what in {"assume", "skip"}:
        flag = {"assume": "--assume-unchanged", "skip": "--skip-worktree"}[what]
        if project.git("--literal-pathspecs", "ls-files", "--", full) == full:
            project.git("update-index", flag, full)
    elif what == "ignore":
        with (project.root / ".git/info/exclude").open("a") as file:
            file.write(f"{Path(path).name}\n")
    elif what == "add":
        with contextlib.suppress(subprocess.CalledProcessError):  # git refuses a pipe in place of a file
            project.git("add", "--all")
    else:
        _put(project.root / full, what)


def _here(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Mode and content of every entry of a folder; of a folder without entries "040000"."""
    found = {}
    for top, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        for name in (*files, *links):
            path = Path(top) / name
            if path.is_symlink():
                entry = ("120000", os.fsencode(os.readlink(path)))  # noqa: PTH115
            elif path.is_file():
                entry = ("100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes())
            else:
                entry = ("pipe", b"")
            found[path.relative_to(folder).as_posix()] = entry
    return found


def _there(project: Project) -> dict[str, tuple[str, bytes]]:
    """The same of the commit, by one git process for each entry."""
    found = {}
    for record in project.git("ls-tree", "-r", "-z", "HEAD", "--", "docker/web").split("\0"):
        if record:
            head, _, path = record.partition("\t")
            mode, _, blob = head.split()
            content = project.git("cat-file", "blob", blob)
            found[path.removeprefix("docker/web/")] = (mode, content.encode())
    return found


def _slow(project: Project, rules: Rules) -> set[str]:
    """The paths that are sent and differ."""
    folder = project.root / "docker/web"
    here = {path: (mode, content.strip()) for path, (mode, content) in _here(folder).items()}
    there = _there(project)
    sent = {
        path
        for path in here.keys() | there.keys()
        if path in {"Dockerfile", ".dockerignore"} or not (rules.ignored(path) or path.split("/")[-1] == ".env")
    }
    return {path for path in sent if here.get(path) != there.get(path)}


def _hollow(project: Project, rules: Rules) -> bool:
    """Whether a folder is sent in which nothing is the commit's; one that has nothing but .env is not."""
    folder = project.root / "docker/web"
    there = _there(project)
    return any(
        not rules.ignored(name) and not any(path.startswith(f"{name}/") for path in there)
        for top, folders, _ in os.walk(folder)
        for one in folders
        if not (Path(top) / one).is_symlink()
        for name in [(Path(top) / one).relative_to(folder).as_posix()]
        if [path.name for path in (Path(top) / one).iterdir()] != [".env"] or (Path(top) / one / ".env").is_dir()
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(entries=ENTRIES, rules=RULES, rounds=st.lists(CHANGES, min_size=1, max_size=2))
def test_c1_the_verdict_is_that_of_reading_everything(
    entries: dict[str, str], rules: list[str], rounds: list[list[tuple[str, str]]]
) -> None:
    """Whatever is in the commit, changed after it, flagged and excluded: what differs is found, and nothing else."""
    with tempfile.TemporaryDirectory() as name:
        project = Project(Path(name) / "project")
        project.root.mkdir()
        project.write("versions.toml", MINIMAL.format(name="random", python=PYTHON))
        project.write(".gitignore", ".uc/\n")
        project.service("web", 18980)
        project.write("docker/web/.dockerignore", "\n".join(rules))
        for path, what in entries.items():
            _put(project.root / "docker/web" / path, what)
        project.commit("feat: start")
        parsed = Rules("\n".join(rules))
        for changes in rounds:
            for what, path in changes:
                _change(project, what, path)
            expected = _slow(project, parsed)
            found = {one.path.removeprefix("docker/web/") for one in compare(project.load()).differences}
            hollow = _hollow(project, parsed)
            assert bool(found) == (bool(expected) or hollow)
            for path in expected:  # each path itself, or a folder or file that stands for it
                assert any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in found), (path, found)
            for one in found:
                exact = one in expected or any(path.startswith(f"{one.rstrip('/')}/") for path in expected)
                assert exact or (one.endswith("/") and hollow), (one, expected)
