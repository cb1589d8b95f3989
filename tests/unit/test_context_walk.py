"""What the filter takes out of a folder that is sent, beside what .dockerignore takes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from build.context_walk import sent_from
from build.left_out import Filter, LeftOut

TREE = (
    "app.py", ".env", "docs/index.md", "docs/token.txt", "env/pyvenv.cfg", "env/lib/site.py", "node_modules/a/index.js",
    "keys/server.pem", ".git/config", "lib/vendor/.git", "secrets/index.md",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with sources, secrets, a virtual environment under another name, and installed packages."""
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def test_s2_secrets_and_virtual_environments_are_not_sent(tree: Path) -> None:
    """Each is left out with its rule; a folder that has nothing else is not sent as an empty one."""
    left_out: list[LeftOut] = []

    sent = set(sent_from(tree, left_out=left_out))

    assert sent == {"app.py", "docs/index.md", "secrets/index.md"}
    assert {each.path for each in left_out} == {
        ".env", "docs/token.txt", "env", "node_modules", "keys/server.pem", ".git", "lib/vendor/.git",
    }  # fmt: skip
    assert all(each.rule for each in left_out)


def test_s2_what_the_ignore_file_excludes_is_not_left_out_again(tree: Path) -> None:
    """Only what would have been sent is reported."""
    (tree / ".dockerignore").write_text("**/.git\nnode_modules\nenv\n.env\n")
    left_out: list[LeftOut] = []

    list(sent_from(tree, left_out=left_out))

    assert {each.path for each in left_out} == {"docs/token.txt", "keys/server.pem"}


def test_s2_the_ignore_file_can_t_bring_a_secret_back(tree: Path) -> None:
    """An exception in .dockerignore is about its own rules."""
    (tree / ".dockerignore").write_text("*\n!.env\n!app.py\n")

    assert set(sent_from(tree)) == {".dockerignore", "app.py"}


@pytest.mark.parametrize(
    ("allow", "sent"),
    [
        ("keys/*.pem", {"keys/server.pem"}),
        ("keys", {"keys/server.pem"}),
        ("**/token.txt", {"docs/token.txt"}),
        ("env", {"env/pyvenv.cfg", "env/lib/site.py"}),
        ("node_modules", {"node_modules/a/index.js"}),
    ],
)
def test_s2_an_exception_of_the_manifest_is_sent(tree: Path, allow: str, sent: set[str]) -> None:
    """By the patterns of .dockerignore: a file, everything in a folder, a folder that is left out as a whole."""
    assert set(sent_from(tree, "", Filter((allow,)))) - set(sent_from(tree)) == sent


def test_s2_a_context_that_is_a_virtual_environment_itself_is_sent(tree: Path) -> None:
    """Whoever names it as the folder to send means it."""
    assert "lib/site.py" in set(sent_from(tree / "env"))
