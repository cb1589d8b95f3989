"""The lock of a target: one deploy at a time, from whichever machine. It says who holds it.

The lock of a process that has died on this machine is taken over. What another machine holds can't be judged from here:
that takes `--break-lock`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build import console
from build.deploy.ledger import who
from build.deploy.target import Item, Store
from build.errors import DeployRefused
from build.parallel import alive

NAME = "lock"
_ATTEMPTS, _POLL_SECONDS = 20, 0.25


class LockLost(DeployRefused):
    """Another process has the target's lock now: nothing more may be changed by this one."""


@contextlib.contextmanager
def held(store: Store, work: str, *, break_lock: bool = False) -> Iterator[None]:
    """Hold the lock for `work`; given back at the end, however that comes about.

    Raises DeployRefused while another process has it; with `break_lock` it is taken from that one.
    """
    mine = _holder(work)
    attempts = 0
    while not store.create(NAME, mine, exclusive=True):
        item = holder(store)
        if item is None:  # given back meanwhile
            attempts += 1
            if attempts == _ATTEMPTS:
                raise DeployRefused("something else has the name of the target's lock", hint="./inv status")
            time.sleep(_POLL_SECONDS)
            continue
        if not break_lock and not _is_dead(item.content):
            message = f"the target is locked: {describe(item)}"
            hint = "wait for it; if that process is gone, the same command with --break-lock"
            raise DeployRefused(message, hint=hint)
        console.note(f"taking the lock over from {describe(item)}")
        store.remove(item)
    try:
        yield
    finally:
        item = holder(store)
        if item is not None and item.content == mine:
            store.remove(item)


def require(store: Store) -> None:
    """Raise LockLost if this process does not have the lock any more: somebody broke it, or cleaned the target up."""
    item = holder(store)
    if item is None or not _is_mine(item.content):
        by = f": {describe(item)}" if item else ""
        message = f"this deploy has lost the lock of the target, and changes nothing more{by}"
        raise LockLost(message, hint="./inv status   says which set runs, or who is bringing one")


def holder(store: Store) -> Item | None:
    """What holds the lock; None if nothing does."""
    return next((item for item in store.items() if item.name == NAME), None)


def describe(item: Item) -> str:
    """Who holds it, on which machine, and since when."""
    content = item.content
    work, user, host = (content.get(key, "unknown") for key in ("work", "who", "host"))
    return f"{work} by {user} on {host} (pid {content.get('pid', '?')}) since {content.get('since', 'unknown')}"


def _holder(work: str) -> dict[str, Any]:
    return {
        "work": work, "who": who(), "host": platform.node(), "machine": _machine(), "pid": os.getpid(),
        "started": _started(os.getpid()), "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _is_mine(content: dict[str, Any]) -> bool:
    own = {"machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid())}
    return own.items() <= content.items()


def _is_dead(content: dict[str, Any]) -> bool:
    """Whether the holder is a process of this machine that is gone, even if another one has its number by now."""
    if content.get("machine") != _machine() or not isinstance(pid := content.get("pid"), int):
        return False
    return not alive(pid) or _started(pid) != content.get("started")


def _machine() -> str:
    """This machine since its start, and the namespace of its pids: what makes a pid's meaning."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return " ".join(parts)


def _started(pid: int) -> str:
    """When a process has started, in ticks since the machine did (proc(5), stat); "" where that is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
