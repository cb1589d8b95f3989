"""Completion in real shells: a Tab in bash, zsh and fish, in the checkout and in any other folder."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import debian
from tests.support.project import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")

INV = str(REPOSITORY / "inv")
ASKED = {
    "bui": "build",
    "secrets.r": "secrets.rotate",
    "build docs": "docs-server",
    "build --service docs-server,mon": "docs-server,monitoring",
    "logs mcp-r": "mcp-repository",
    "release --bump mi": "minor",
}
ASK_BASH = 'COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _inv_complete; echo "${{COMPREPLY[@]}}"'


@pytest.mark.parametrize("called", ["./inv", INV], ids=["here", "by path"])
def test_u4_bash(called: str, tmp_path: Path) -> None:
    """The script gives bash the candidates, for ./inv in the checkout and for its path in any folder."""
    questions = [ASK_BASH.format(words=f"{called} {words}") for words in ASKED]
    script = "\n".join([f"source <({INV} completion bash)", *questions])
    folder = REPOSITORY if called == "./inv" else tmp_path
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True)

    assert (done.stdout.splitlines(), done.stderr) == ([*ASKED.values()], "")


def test_u4_fish(tmp_path: Path) -> None:
    """Fish offers the same."""
    fish = debian.program("fish", "fish", "usr/bin/fish")
    script = "\n".join([f"{INV} completion fish | source", *(f"complete -C '{INV} {words}'" for words in ASKED)])
    done = subprocess.run(
        [fish.path, "--no-config", "-c", script], cwd=tmp_path, env=fish.environment | {"HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [*ASKED.values()]


def test_u4_zsh(tmp_path: Path) -> None:
    """Zsh completes what has one candidate when Tab is pressed."""
    zsh = debian.program("zsh", "zsh", "bin/zsh")
    root = Path(zsh.path).parents[1]
    functions = [str(path) for path in (root / "usr/share/zsh/functions").rglob("*") if path.is_dir()]
    modules = next(iter((root / "usr/lib").glob("*/zsh/*")), None)
    start = "PS1='> '\n"
    if functions:
        start += f"module_path=({modules})\nfpath=({' '.join(functions)})\n"
    start += f"autoload -Uz compinit; compinit -u -d {tmp_path}/dump\nsource <({INV} completion zsh)\n"
    (tmp_path / ".zshrc").write_text(start)
    environment = zsh.environment | {"ZDOTDIR": str(tmp_path), "HOME": str(tmp_path), "TERM": "dumb"}

    shell = _Shell([zsh.path, "-i"], environment, tmp_path)
    try:
        shell.until("> ")
        for words, candidate in ASKED.items():
            shell.type(f"{INV} {words}\t")
            shell.until(f"{words.rpartition(' ')[0]} {candidate}".strip())
            shell.type("\x15")
    finally:
        shell.close()


class _Shell:
    """A shell on a terminal."""

    def __init__(self, argv: list[str], environment: dict[str, str], folder: Path) -> None:
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.chdir(folder)
            os.execve(argv[0], argv, environment)

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, expected: str) -> None:
        """Read what it shows until this is there; without escape codes and line ends, which wrap long lines."""
        shown, deadline = "", time.monotonic() + 60
        while expected not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]", "", shown):
            assert time.monotonic() < deadline, shown
            if select.select([self._terminal], [], [], 1)[0]:
                shown += os.read(self._terminal, 4096).decode("utf-8", "replace")

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._pid, 0)
