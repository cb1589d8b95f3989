"""What the repository server never hands out, whichever way it is asked for: files, searches and git's history."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp.server.mcpserver.exceptions import ToolError
from mcp_rig import checkout, git, running, write
from mcp_service.jail import Jail
from mcp_service.toolsets.repository import Repository

# Made up here, in the form of the real ones, and put together so that no scanner takes this file for a leak.
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE\n-----END OPENSSH PRIVATE KEY-----\n"
MARK = "needle"
CLOSED = {
    ".env": f"{MARK}=1\n",
    "Assets/.env.local": f"{MARK}=1\n",
    "config/token.txt": f"{MARK}\n",
    ".ssh/config": f"{MARK}\n",
    ".ssh/plain.md": f"{MARK}\n",
    "node_modules/thing/index.js": f"// {MARK}\n",
    "tools/python/pyvenv.cfg": "home = /usr/bin\n",
    "tools/python/lib/thing.py": f"# {MARK}\n",
    "notes.md": f"{MARK}: {TOKEN}\n",
    "Assets/keys.cs": f"// {MARK}\n{KEY}",
    "Library/cache.txt": f"{MARK}\n",
    "Assets/Temp/a.txt": f"{MARK}\n",
    "excluded.txt": f"{MARK}\n",
}
OPEN = {".env.example": f"{MARK}=\n", "Assets/kept.log": f"{MARK}\n", "src/a.cs": f"// {MARK}\n"}
IGNORE = {".gitignore": "*.log\n!kept.log\n/Library/\n", "Assets/.gitignore": "Temp/\n"}
Tree = Callable[..., Repository]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with one file for each rule, none of them committed."""
    root = checkout(tmp_path / "workspace")
    write(root, CLOSED | OPEN | IGNORE)
    (root / ".git/info/exclude").write_text("excluded.txt\n")
    (root / "link.md").symlink_to(".env")
    return root


@pytest.fixture
def repository(tree: Path) -> Repository:
    """The tools over it."""
    return Repository(Jail(tree), search_timeout=30)


@pytest.mark.parametrize("path", [*CLOSED, "link.md", "Assets/../.env"])
def test_s3_no_file_that_is_closed_is_read(repository: Repository, path: str) -> None:
    """Neither by its name, nor by its content, nor through a link; the refusal has the rule and nothing of the file."""
    for ask in (repository.read_file, lambda name: asyncio.run(repository.search(".", name))):
        try:
            answer = json.dumps(ask(path))
        except ToolError as error:
            answer = str(error)
            assert "is not handed out: " in answer
        assert MARK not in answer


@pytest.mark.parametrize("path", OPEN)
def test_s3_what_looks_alike_is_read(repository: Repository, path: str) -> None:
    """A template of an environment file and a file that git's rules take back are as open as any."""
    assert MARK in repository.read_file(path)["text"]


@pytest.mark.parametrize("glob", ["", "*", "**/*.log", "*.txt", "Library/**", ".env*"])
@pytest.mark.parametrize("path", [".", "Library", "Assets", "node_modules", "tools/python/lib"])
@pytest.mark.parametrize("include_ignored", [False, True])
def test_s3_no_closed_file_is_listed_or_searched(
    repository: Repository, glob: str, path: str, include_ignored: bool
) -> None:
    """Not by a folder inside of it, not by a glob that ripgrep puts above the ignore files, not by include_ignored."""
    closed = {*CLOSED} - {"notes.md", "Assets/keys.cs"}
    listed = asyncio.run(repository.list_files(path, glob, include_ignored=include_ignored))
    assert closed & {*listed["files"]} == set()
    found = asyncio.run(repository.search(MARK, path, glob, include_ignored=include_ignored))
    assert {*CLOSED} & {match["path"] for match in found["matches"]} == set()
    if (glob, path) == ("", "."):
        assert {*OPEN} <= {*listed["files"]}
        assert {*OPEN} == {match["path"] for match in found["matches"]}


def test_s3_what_is_listed_can_be_read(repository: Repository) -> None:
    """list_files, search and read_file agree on what git ignores: as git itself lists it."""
    listed = set(asyncio.run(repository.list_files())["files"])
    known = git(repository.jail.root, "ls-files", "--cached", "--others", "--exclude-standard").split()
    links = {name for name in known if (repository.jail.root / name).is_symlink()}
    by_name = {name for name in CLOSED if name not in ("notes.md", "Assets/keys.cs")}
    assert listed == set(known) - links - by_name
    for name in listed - {"notes.md", "Assets/keys.cs"}:
        repository.read_file(name)


def test_s3_the_operator_can_open_paths(tree: Path) -> None:
    """Globs over whole paths open what a rule closes, for every tool; .git stays closed."""
    repository = Repository(Jail(tree), search_timeout=30, allow=("Library/*", "*.md", ".git/*", "config/token.txt"))
    for path in ("Library/cache.txt", "notes.md", ".ssh/plain.md", "config/token.txt"):
        assert MARK in repository.read_file(path)["text"]
    found = asyncio.run(repository.search(MARK, include_ignored=True))
    opened = {"Library/cache.txt", "notes.md", ".ssh/plain.md", "config/token.txt"}
    assert {match["path"] for match in found["matches"]} == {*OPEN, *opened}
    with pytest.raises(ToolError, match=r"is in \.git"):
        repository.read_file(".git/config")
    with pytest.raises(ToolError, match="not handed out"):
        repository.read_file(".env")


def test_s3_a_secret_far_into_a_large_file_is_not_handed_out(repository: Repository, tree: Path) -> None:
    """What is handed out is looked at itself: of a large file the rules have read the beginning alone."""
    (tree / "large.txt").write_text("x" * 99 + "\n")
    with (tree / "large.txt").open("a") as file:
        file.write(("y" * 99 + "\n") * 90_000 + f"{MARK} {TOKEN}\n")
    with pytest.raises(ToolError, match="it has a GitHub token"):
        repository.read_file("large.txt", start_line=-1)
    assert repository.read_file("large.txt")["lines"] == 500
    assert asyncio.run(repository.search(MARK, "large.txt"))["matches"] == []


def test_s3_history_hands_out_no_closed_file(tree: Path) -> None:
    """A secret that was committed and removed again is still there: show names it nowhere and has nothing of it."""
    git(tree, "add", "--force", ".")
    git(tree, "commit", "--quiet", "-m", f"Add everything, with {TOKEN}")
    git(tree, "rm", "--quiet", "-r", "--cached", ".")
    git(tree, "commit", "--quiet", "-m", "Remove everything")
    repository = Repository(Jail(tree), search_timeout=30)
    for revision in ("HEAD", "HEAD~1"):
        shown = repository.git_show(revision)
        text = json.dumps(shown)
        assert TOKEN not in text
        assert "PRIVATE KEY" not in text
        named = {line.partition(" ")[2] for line in shown["changes"]}
        closed = {*CLOSED} - {"notes.md", "Assets/keys.cs", "Library/cache.txt", "Assets/Temp/a.txt", "excluded.txt"}
        assert named & closed == set()
        assert ({*OPEN} | {"Library/cache.txt"}) <= named
        assert shown["diff"].count(MARK) == len(OPEN) + 3  # and what git ignores, but has
        assert shown["withheld"] == len(closed) + 2
    log = repository.git_log()
    assert TOKEN not in json.dumps(log)
    assert log["commits"][1]["subject"] == "[not handed out: it has a GitHub token]"
    with pytest.raises(ToolError, match="not handed out: an environment file"):
        repository.git_show("HEAD~1", ".env")


def test_s3_status_names_no_closed_file(tree: Path) -> None:
    """It still says that the tree is not clean."""
    write(tree, {"Assets/Player.cs": "changed\n"})
    git(tree, "add", "--force", ".env")
    status = Repository(Jail(tree), search_timeout=30).git_status()
    named = " ".join([*status["staged"], *status["unstaged"], *status["untracked"]])
    assert not [
        part
        for part in (".env", "token.txt", ".ssh", "secrets", "node_modules", "python/lib")
        if part in named.replace(".env.example", "")
    ]
    assert "modified Assets/Player.cs" in status["unstaged"]
    assert not status["clean"]


def test_s3_a_name_that_is_no_text_is_closed_all_the_same(repository: Repository, tree: Path) -> None:
    """A file whose name is no UTF-8 is looked at under its own name."""
    for name, text in (
        (b"caf\xe9.env", f"{MARK}\n"),
        (b"caf\xe9.md", f"{MARK} {TOKEN}\n"),
        (b"th\xe9.md", f"{MARK}\n"),
    ):
        with open(os.path.join(os.fsencode(tree), name), "w") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(text)
    found = asyncio.run(repository.search(MARK))
    assert {match["path"] for match in found["matches"]} == {*OPEN, "th\ufffd.md"}


def test_s3_the_setting_reaches_the_server(tmp_path: Path) -> None:
    """REPOSITORY_ALLOW is a list of globs."""
    tree = write(tmp_path / "tree", {".env": MARK, "a/token.txt": MARK})
    env = {"UC_WORKSPACE": str(tree), "REPOSITORY_ALLOW": "nothing, a/*"}
    with running(tmp_path, "repository", **env) as server:
        assert server.call("read_file", {"path": ".env"}).is_error
        assert not server.call("read_file", {"path": "a/token.txt"}).is_error
