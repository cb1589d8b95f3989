"""One process serves one data folder: run queues live in memory, so a second one would take the first one's runs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ucservice import logs

WAIT_SECONDS = 20.0

_log = logs.get("ownership")


@asynccontextmanager
async def owned(folder: Path) -> AsyncIterator[None]:
    """Hold the folder; a process that is just stopping is waited for. The kernel lets go of it when this one dies."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "langgraph.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _lock(handle, folder)
        yield
    finally:
        os.close(handle)


async def _lock(handle: int, folder: Path) -> None:
    deadline, told = time.monotonic() + WAIT_SECONDS, False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise RuntimeError(f"{folder} is served by another process: one data folder, one process") from error
        else:
            return
        if not told:
            _log.warning("waiting_for_the_other_process", folder=str(folder))
            told = True
        await asyncio.sleep(0.1)
