"""The tree: what is found and read, what is refused, what git says."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver.exceptions import ToolError
from mcp_rig import FILES, LocalServer, Server, checkout, git, write
from mcp_service.history import History
from mcp_service.jail import Jail
from mcp_service.toolsets.repository import Repository


def call(server: Server, tool: str, **arguments: Any) -> dict[str, Any]:
    """One call's structured answer, or its text when it is an error."""

    async def once() -> dict[str, Any]:
        async with server.client() as client:
            result = await client.call_tool(tool, arguments)
            return result.structured_content or {"error": getattr(result.content[0], "text", "")}

    return asyncio.run(once())


@pytest.fixture
def server(local_servers: dict[str, LocalServer]) -> Server:
    """The repository server on the shared checkout."""
    return local_servers["repository"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of the test's own."""
    return checkout(tmp_path / "workspace")


@pytest.fixture
def repository(tree: Path) -> Repository:
    """The tools over it, without the wire."""
    return Repository(Jail(tree), search_timeout=5)


OUTSIDE = [
    "../secret.txt",
    "/etc/passwd",
    "link.txt",
    "out/secret.txt",
    "Assets/../../secret.txt",
    "../workspace-two/secret.txt",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_is_read(server: Server, path: str) -> None:
    """Dots, absolute paths, links and a neighbour whose name begins alike are refused, and nothing of them is told."""
    for tool, arguments in (
        ("read_file", {"path": path}),
        ("list_files", {"path": path}),
        ("search", {"pattern": "hidden", "path": path}),
        ("git_status", {"path": path}),
    ):
        error = call(server, tool, **arguments)["error"]
        assert error.endswith("is outside the workspace")
        assert "hidden" not in error


def test_a_refusal_does_not_reveal_whether_a_file_exists(server: Server) -> None:
    """A path outside gets the same words whether something is there or not."""
    there, nowhere = (call(server, "read_file", path=path)["error"] for path in ("/etc/passwd", "/etc/nothing"))
    assert there.replace("passwd", "nothing") == nowhere


@pytest.mark.parametrize("path", [".git/config", "Assets/../.git/HEAD"])
def test_git_itself_is_closed(server: Server, path: str) -> None:
    """The checkout's config may hold credentials."""
    assert "is in .git" in call(server, "read_file", path=path)["error"]


def test_files_are_listed(server: Server) -> None:
    """Hidden files count, ignored ones only on request, .git and links never; a limit says that there is more."""
    listed = call(server, "list_files")
    assert listed == {
        "files": [".github/ci.yml", ".gitignore", "Assets/Player.cs", "Assets/Player.cs.meta", "README.md"],
        "truncated": False,
    }
    assert call(server, "list_files", path="Assets", glob="!*.meta")["files"] == ["Assets/Player.cs"]
    assert "Editor.log" in call(server, "list_files", include_ignored=True)["files"]
    assert call(server, "list_files", limit=2) == {"files": [".github/ci.yml", ".gitignore"], "truncated": True}
    assert call(server, "list_files", glob=".git/**")["files"] == []


def test_text_is_found(server: Server) -> None:
    """Matches have path, line and text; nothing of a client's arguments can become an option."""
    found = call(server, "search", pattern="health")
    assert [(match["path"], match["line"]) for match in found["matches"]] == [("Assets/Player.cs", 2), ("README.md", 3)]
    assert call(server, "search", pattern="Health")["matches"][0]["text"] == "    int Health;"
    assert call(server, "search", pattern="player {", literal=True)["matches"][0]["line"] == 1
    assert call(server, "search", pattern="CS1002", include_ignored=True)["matches"][0]["path"] == "Editor.log"
    assert call(server, "search", pattern="--fast")["matches"][0]["line"] == 5
    assert call(server, "search", pattern="--files") == {"matches": [], "truncated": False, "timed_out": False}
    assert call(server, "search", pattern="health", glob="--pre=id")["matches"] == []
    assert "unclosed group" in call(server, "search", pattern="(")["error"]


def test_lines_are_read(server: Server) -> None:
    """From a line on, or from the end."""
    read = call(server, "read_file", path="Assets/Player.cs", start_line=2, max_lines=1)
    assert read == {"path": "Assets/Player.cs", "first_line": 2, "lines": 1, "text": "    int Health;", "more": True}
    assert call(server, "read_file", path="Assets/Player.cs", start_line=-1)["text"] == "}"
    assert call(server, "read_file", path="inside.md")["path"] == "README.md"
    assert "does not exist" in call(server, "read_file", path="nothing.txt")["error"]


def test_odd_files_are_read_or_refused(repository: Repository, tree: Path) -> None:
    """UTF-16 is text, a binary file, a pipe and a folder are refused at once."""
    (tree / "log.txt").write_text("eins\r\nzwei ü\r\n", "utf-16")
    (tree / "image.png").write_bytes(b"\x89PNG\0\0")
    os.mkfifo(tree / "pipe")
    assert repository.read_file("log.txt")["text"] == "eins\nzwei ü"
    for name, reason in (("image.png", "binary"), ("pipe", "not a file"), ("Assets", "not a file")):
        with pytest.raises(ToolError, match=reason):
            repository.read_file(name)


def test_an_endless_line_costs_no_memory(repository: Repository, tree: Path) -> None:
    """A file of one line is read in pieces and its line is cut; what is looked at for secrets is its first 8 MiB."""
    (tree / "long.txt").write_text("x" * 20_000_000 + "\nend\n")
    tracemalloc.start()
    try:
        text = repository.read_file("long.txt")["text"]
        assert [len(line) for line in text.split("\n")] == [2000, 3]
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_search_ends_in_time(tree: Path) -> None:
    """The time is up: what was found so far, and a word that it is not all."""
    repository = Repository(Jail(tree), search_timeout=0)
    found = asyncio.run(repository.search("Player"))
    assert found == {"matches": [], "truncated": True, "timed_out": True}


def test_log_and_show(server: Server, workspace: Path) -> None:
    """The same commits as git's own, and the difference to the parent."""
    log = call(server, "git_log")
    assert [line["id"] for line in log["commits"]] == git(workspace, "log", "--format=%H").split()
    assert log["commits"][0]["subject"] == "Give the player speed"
    assert log["commits"][0]["date"] == git(workspace, "log", "-1", "--format=%aI").strip().replace("Z", "+00:00")
    assert len(call(server, "git_log", path="README.md")["commits"]) == 1
    assert call(server, "git_log", limit=1)["truncated"]
    shown = call(server, "git_show", revision="main")
    assert shown["changes"] == ["modify Assets/Player.cs"]
    assert "+    int Speed;" in shown["diff"]
    assert shown["message"].endswith("And more.")
    for revision in ("main~1", "HEAD^", "HEAD~", log["commits"][1]["id"][:8], "main^0~1"):
        assert call(server, "git_show", revision=revision)["id"] == log["commits"][1]["id"]
    assert "no commit 'HEAD~9'" in call(server, "git_show", revision="HEAD~9")["error"]
    assert "no commit 'nothing'" in call(server, "git_show", revision="nothing")["error"]
    first = call(server, "git_show", revision=log["commits"][1]["id"], path="Assets")
    assert first["changes"] == ["add Assets/Player.cs", "add Assets/Player.cs.meta"]


def test_status_agrees_with_git(repository: Repository, tree: Path) -> None:
    """Staged, changed, deleted and new files as git has them; ignored ones are not new."""
    write(
        tree,
        {
            "README.md": "changed\n",
            "new.txt": "new\n",
            "made/here/a.txt": "",
            "Assets/new.cs": "",
            "staged.txt": "staged\n",
        },
    )
    (tree / "Assets/Player.cs.meta").unlink()
    git(tree, "add", "staged.txt")
    status = repository.git_status()
    assert status["branch"] == "main"
    assert status["head"] == git(tree, "rev-parse", "HEAD").strip()
    assert status["staged"] == ["add staged.txt"]
    assert sorted(status["unstaged"]) == ["deleted Assets/Player.cs.meta", "modified README.md"]
    assert status["untracked"] == ["Assets/new.cs", "made/", "new.txt"]
    assert not status["clean"]


def test_a_checkout_from_another_system_is_clean(repository: Repository, tree: Path) -> None:
    """Line endings, modes and times differ through a Windows mount, an LFS file is no pointer: none is a change."""
    asset = b"\0" * 5000
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(asset).hexdigest()}\nsize 5000\n"
    write(tree, {"big.bin": pointer})
    git(tree, "add", "big.bin")
    git(tree, "commit", "--quiet", "-m", "Add an asset")
    (tree / "big.bin").write_bytes(asset)
    write(tree, {"README.md": FILES["README.md"].replace("\n", "\r\n")})
    (tree / "Assets/Player.cs").chmod(0o777)
    os.utime(tree / "Assets/Player.cs", (1, 1))
    assert repository.git_status()["clean"]
    (tree / "big.bin").write_bytes(asset + b"1")
    assert repository.git_status()["unstaged"] == ["modified big.bin"]


def test_history_outside_the_workspace_is_refused(tree: Path, tmp_path: Path) -> None:
    """A .git that names or links another folder, and objects borrowed from one, are refused."""
    outside = checkout(tmp_path / "other" / "workspace")
    history = History(Jail(tree))
    git(outside, "worktree", "add", "--quiet", str(tree / "inner"))
    with pytest.raises(ToolError, match=r"outside the workspace|can't be opened"):
        history.log("inner", "HEAD", 1)
    (tree / ".git/objects/info/alternates").write_text(f"{outside}/.git/objects\n")
    with pytest.raises(ToolError, match="outside the workspace"):
        history.log(".", "HEAD", 1)
    shutil.rmtree(tree / ".git")
    with pytest.raises(ToolError, match="not in a git checkout"):
        history.log(".", "HEAD", 1)
    (tree / ".git").symlink_to(outside / ".git")
    with pytest.raises(ToolError, match="outside the workspace"):
        history.log(".", "HEAD", 1)


def test_filters_of_a_checkout_are_not_run(repository: Repository, tree: Path) -> None:
    """A checkout's own configuration can't start a program."""
    git(tree, "config", "filter.evil.clean", f"touch {tree}/ran")
    write(tree, {".gitattributes": "* filter=evil\n", "README.md": "changed\n"})
    repository.git_status()
    assert not (tree / "ran").exists()
