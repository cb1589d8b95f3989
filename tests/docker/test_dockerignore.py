"""What we say a context sends, compared with what the real engine got of it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from build import context_walk
from build.engine import client as docker

FILES = (
    "a/b", "a/f", "d/f", "d/sub/f", "pfx/x", "pfxx", "q/w/e", "keep/deep/one.md", "keep/deep/two.txt", "-dash/-x",
    "sp ace/new\nline", "uni-größe", "x1", "xa", "xb", "x-", "x^", "x]", "x!", "back\\slash", "br[ack", "a|b", "zb", "c{2}",
    "cc", "ccc", "p+", "pp", "par(en)", "ig/nored", "# hash", "#hash2", "tail ", "bb", "dot.x", "dotax", "dollar$", "7", "d7",
    "deep/er/est/file.log", "deep/file.log", "deep/keep.log", "star*star", "q?q", "up", "\u00e9t\u00e9.md", "n" * 200,
)  # fmt: skip
RULES = (
    "",
    "*\n!keep\n!a/f\nkeep/**/*.md\n",
    "*/f\n!d\nx[a]\nx[^1a-b]\n  # hash\n#hash2\nig/**\ndot.?\nd/../zb\n",
    "a|b*\nc{2}?\np+*\n\\d*\ndollar$\n",
    "**/*.log\n!deep/keep.log\n/pfx/\n./x1\nq/w/\n",
    "**\n!**/*.md\n!deep/er/**\n",
    "br\\[ack\nstar\\*star\nq\\?q\nback\\\\slash\n.\n..\n../up\n/\n!/xa\n",
    "?7\nx[!a]\n*\\ ace\n**e\n**/sub\nn*\n-*\n\ufeffcc\ntail \n",
    "keep\n!keep/deep/one.md\nempty\nlnk\npipe\nsock\n",
)  # fmt: skip


def _fill(folder: Path, rules: str) -> None:
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (folder / "empty/in").mkdir(parents=True)
    (folder / "lnk").symlink_to("a/b")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "folder-link").symlink_to("a")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "sock"))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (folder / ".dockerignore").write_text(rules)


def _entries(folder: Path) -> set[str]:
    """Every leaf below a folder: files, links and the like, and folders with nothing in them."""
    found = set()
    for top, folders, files in os.walk(folder):
        below = Path(top).relative_to(folder)
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        found |= {(below / name).as_posix() for name in (*files, *links)}
        if not folders and not files and top != str(folder):
            found.add(f"{below.as_posix()}/")
    return found


def test_c1_what_a_context_sends_is_what_the_engine_gets(tmp_path: Path) -> None:
    """Odd names, links, pipes, sockets and empty folders, under rules of every kind: our list is the engine's."""
    always = {"Dockerfile", ".dockerignore"}
    for number, rules in enumerate(RULES):
        folder, out = tmp_path / f"in{number}", tmp_path / f"out{number}"
        folder.mkdir()
        _fill(folder, rules)

        docker.cli("buildx", "build", "--no-cache", "--output", f"type=local,dest={out}", str(folder))

        ours = set(context_walk.sent_from(folder, "Dockerfile"))
        assert (rules, ours - always) == (rules, _entries(out) - always)


def test_c1_an_ignore_file_of_the_dockerfile_wins(tmp_path: Path) -> None:
    """Dockerfile.dockerignore takes the place of .dockerignore."""
    (tmp_path / "in").mkdir()
    _fill(tmp_path / "in", "*\n")
    (tmp_path / "in/Dockerfile.dockerignore").write_text("a\nkeep\n")

    docker.cli("buildx", "build", "--no-cache", "--output", f"type=local,dest={tmp_path / 'out'}", str(tmp_path / "in"))

    assert set(context_walk.sent_from(tmp_path / "in", "Dockerfile")) == _entries(tmp_path / "out")
