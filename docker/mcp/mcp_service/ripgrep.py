"""One run of rg: bounded in time and output, never configured by the tree that it searches."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from mcp.server.mcpserver.exceptions import ToolError

_LONGEST_RECORD = 1024 * 1024
# Hidden files are searched (.github, .editorconfig), .git never: the last glob wins over any that a client gives.
# Of the ignore files only git's own count, as they do for what is read.
_ALWAYS = (
    *("--no-config", "--hidden", "--no-require-git", "--no-ignore-global", "--no-ignore-parent", "--no-ignore-dot"),
    "--threads=2",
)
_CLOSED = ("--iglob=!.git", "--iglob=!**/.git/**")


def program() -> str:
    """rg as the environment of this interpreter installs it, else the one on PATH."""
    beside = Path(sys.executable).with_name("rg")
    found = str(beside) if beside.is_file() else shutil.which("rg")
    if found is None:
        raise ToolError("ripgrep is not installed")
    return found


def options(*, glob: str, include_ignored: bool) -> list[str]:
    """What list_files and search share. Each value is part of its own argument, so none can become an option."""
    return [
        *_ALWAYS,
        *(["--no-ignore"] if include_ignored else []),
        *([f"--glob={glob}"] if glob else []),
        *_CLOSED,
    ]


class Run:
    """`async with Run(...) as run: async for record in run.records()`; leaving kills what still runs."""

    def __init__(self, arguments: list[str], *, folder: str, end: bytes, seconds: float) -> None:
        self.arguments, self.folder, self.end, self.seconds = arguments, folder, end, seconds
        self.timed_out = False
        self._process: Process

    async def __aenter__(self) -> Run:
        if any("\0" in argument for argument in self.arguments):
            raise ToolError("a pattern or a glob can't hold a NUL character")
        self._process = await asyncio.create_subprocess_exec(
            program(),
            *self.arguments,
            cwd=self.folder,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={},
            limit=_LONGEST_RECORD,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def records(self) -> AsyncIterator[bytes]:
        """Each record without its end. Stops early, with timed_out set, when the time is up."""
        assert self._process.stdout is not None
        deadline = asyncio.get_running_loop().time() + self.seconds
        while True:
            # A record that lies ready is read without waiting, and so without a look at the clock.
            if asyncio.get_running_loop().time() >= deadline:
                self.timed_out = True
                return
            try:
                async with asyncio.timeout_at(deadline):
                    record = await self._process.stdout.readuntil(self.end)
            except TimeoutError:
                self.timed_out = True
                return
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError as error:
                # A record longer than the limit is passed over, and the rest of it makes no whole record.
                await self._process.stdout.readexactly(max(1, error.consumed))
                continue
            yield record[:-1]

    async def complaint(self) -> str:
        """What rg wrote to stderr, when it has ended on its own with an error (exit code 2)."""
        assert self._process.stderr is not None
        text = await self._process.stderr.read(4000)
        return text.decode("utf-8", "replace").strip() if await self._process.wait() == 2 else ""
