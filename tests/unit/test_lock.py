"""Locks between processes: who waits, for whom, and how long."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from build import json_file
from build.lock import Holder, exclusive

_HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from build.lock import exclusive
with exclusive(Path({path!r}), "the build of /srv/shop", lambda *_: None, shared=True):
    print("held", flush=True)
    time.sleep(60)
"""


class _Waited(Exception):
    """The lock is held, by `args[0]`."""


def _give_up(holder: Holder, _waited: float) -> None:
    raise _Waited(holder)


@contextmanager
def _holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    code = _HOLD.format(root=str(Path(__file__).parents[2]), path=str(path))
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_e3_who_waits_is_told_for_whom_and_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    """The file says what the holder does, its pid and since when; kill -9 leaves nothing that stands in the way."""
    path = tmp_path / "lock"
    with _holding(path) as process:
        with pytest.raises(_Waited) as caught, exclusive(path, "mine", _give_up, shared=True):
            pass
        shown = str(caught.value.args[0])
        process.send_signal(signal.SIGKILL)
        process.wait()
        with exclusive(path, "mine", _give_up, shared=True):
            pass

    assert shown.startswith(f"the build of /srv/shop (pid {process.pid}, since ")
    assert not path.exists(), "a lock that is given back leaves no file"


def test_e3_a_thread_takes_its_lock_again_and_another_thread_waits(tmp_path: Path) -> None:
    """A build resolves bases, which take turns as well; a second build of the same process still waits."""
    path = tmp_path / "lock"
    outcome: list[object] = []

    def second() -> None:
        try:
            with exclusive(path, "second", _give_up):
                outcome.append("took it")
        except _Waited as error:
            outcome.append(error.args[0].work)

    with exclusive(path, "first", _give_up), exclusive(path, "inner", _give_up):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    assert outcome == ["first"]


def test_e3_a_lock_is_never_opened_through_a_link_of_another_user(tmp_path: Path) -> None:
    """In a folder that everybody may write to, a link could make a build empty any file of its user."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "lock").symlink_to(precious)

    with pytest.raises(OSError, match="lock"), exclusive(tmp_path / "lock", "mine", _give_up, shared=True):
        pass
    assert precious.read_text() == "kept"


def test_e3_every_user_may_wait_for_a_shared_lock(tmp_path: Path) -> None:
    """Whatever the umask of the first user, the second one can open the file."""
    before = os.umask(0o077)
    try:
        with exclusive(tmp_path / "lock", "mine", _give_up, shared=True):
            mode = stat.S_IMODE((tmp_path / "lock").stat().st_mode)
    finally:
        os.umask(before)
    assert mode == 0o666


def test_a_file_that_is_no_note_of_a_holder_does_no_harm(tmp_path: Path) -> None:
    """What another program wrote into the file is not shown: escape codes would reach the terminal."""
    path = tmp_path / "lock"
    with _holding(path):
        path.write_text('["\\u001b[31mred", 1, "now\\u0007"]')
        with pytest.raises(_Waited) as first, exclusive(path, "mine", _give_up, shared=True):
            pass
        path.write_text("{")
        with pytest.raises(_Waited) as second, exclusive(path, "mine", _give_up, shared=True):
            pass

    assert str(first.value.args[0]) == "[31mred (pid 1, since now)"
    assert str(second.value.args[0]) == "another process"


def test_a_killed_writer_leaves_the_file_whole_and_its_remains_are_removed(tmp_path: Path) -> None:
    """A half-written file has another name, and goes with the next write."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    remains, alive = tmp_path / f".a.json.{ended.pid}", tmp_path / f".a.json.{os.getppid()}"
    for path in (remains, alive):
        path.write_text('{"ha')

    json_file.write(tmp_path / "a.json", {"whole": True})

    assert json_file.read(tmp_path / "a.json") == {"whole": True}
    assert (remains.exists(), alive.exists()) == (False, True)


def test_the_wait_is_short_once_the_lock_is_free(tmp_path: Path) -> None:
    """A lock is looked at several times a second."""
    path = tmp_path / "lock"
    with _holding(path) as process:
        threading.Timer(0.05, process.kill).start()
        begin = time.monotonic()
        with exclusive(path, "mine", lambda *_: None, shared=True):
            assert time.monotonic() - begin < 1
