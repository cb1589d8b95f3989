"""The lock of a target: one holder, who says so; whose process is gone loses it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from build.deploy import locking
from build.errors import DeployRefused
from tests.support.stores import MemoryStore


@contextmanager
def _of_another(store: MemoryStore, **changes: object) -> Iterator[None]:
    """The lock in the hands of another process, described by what differs from this one."""
    with locking.held(store, "deploy of production"):
        item = locking.holder(store)
        assert item
        store.remove(item)
        store.create(locking.NAME, item.content | changes)
        yield


def test_it_is_free_before_and_after() -> None:
    """It is given back at the end, also after a failure."""
    store = MemoryStore()

    with pytest.raises(ZeroDivisionError), locking.held(store, "deploy of production"):
        assert locking.holder(store)
        _ = 1 / 0

    assert store.items() == []


def test_a_second_deploy_is_refused_and_sees_who_has_it() -> None:
    """The message names work, person, machine, pid and time, and what breaks it."""
    store = MemoryStore()
    with locking.held(store, "rollback of production"):
        with (
            pytest.raises(DeployRefused, match=rf"rollback of production by .+ on .+ \(pid {os.getpid()}\)") as refused,
            locking.held(store, "deploy of production"),
        ):
            pass
        assert "--break-lock" in refused.value.hint


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over() -> None:
    """Nobody has to break what a killed deploy left here, even if another process has its number by now."""
    store = MemoryStore()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for dead in ({"pid": ended.pid}, {"started": "1"}):
        with _of_another(store, **dead), locking.held(store, "deploy of production"):
            locking.require(store)
    assert store.items() == []


def test_another_machine_s_lock_is_only_broken_by_a_word() -> None:
    """Whether its process lives can't be known from here; and what has lost its lock notices."""
    store = MemoryStore()
    with _of_another(store, machine="elsewhere 1 2", host="elsewhere"):
        with pytest.raises(DeployRefused, match="on elsewhere"), locking.held(store, "deploy of production"):
            pass
        with locking.held(store, "deploy of production", break_lock=True):
            locking.require(store)

    with locking.held(store, "deploy of production"):
        for item in store.items():
            store.remove(item)
        with pytest.raises(DeployRefused, match="has lost the lock"):
            locking.require(store)
