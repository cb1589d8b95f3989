"""The inotify watch: a hint that comes early, never the truth. watchfiles does the work; its silences are met here.

It says nothing when the kernel's queue overflows, when a folder that appears later can't be watched, or (once told to
pass over unreadable folders) when the watches run out at the start; and a name that is no UTF-8 breaks it for good.
"""

from __future__ import annotations

import errno
import re
import threading
from pathlib import Path
from typing import Any

from ucservice import logs
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

_log = logs.get(__name__)
_BATCH_MS = 200
_STEP_MS = 10  # a burst ends when this long nothing more comes; 25 ms took 26 ms longer and half of 0.4 % of a CPU
_REMEDY = "raise fs.inotify.max_user_watches on the host (sysctl), or UC_INOTIFY=0 to rely on scans"
_LIMIT_REASON = "the limit of inotify watches is reached"


class WatchLost(Exception):
    """The watch can't be trusted any more and must be armed again."""


class Watch:
    """An armed watch on a tree, or the reason why there is none."""

    def __init__(self, root: Path, *, wanted: bool) -> None:
        self._notify: RustNotify | None = None
        self.reason: str | None = None if wanted else "switched off by UC_INOTIFY or WATCHFILES_FORCE_POLLING"
        if wanted:
            self._arm(root)

    @property
    def armed(self) -> bool:
        return self._notify is not None

    def _arm(self, root: Path) -> None:
        try:
            self._notify = _open(root)
        except FileNotFoundError:
            raise
        except (OSError, WatchfilesRustInternalError) as error:
            text = str(error)
            limited = "limit reached" in text or f"os error {errno.ENOSPC}" in text
            self.reason = _LIMIT_REASON if limited else f"inotify can't be used: {text}"
            _log.error("inotify_unavailable", reason=self.reason, error=text, remedy=_REMEDY, fallback="scans")

    def hints(self, timeout: float, stop: threading.Event) -> set[str]:
        """The paths that something happened to, at most `timeout` seconds from now."""
        if self._notify is None:
            stop.wait(timeout)
            return set()
        try:
            found: Any = self._notify.watch(_BATCH_MS, _STEP_MS, int(timeout * 1000), stop)
        except WatchfilesRustInternalError as error:
            raise WatchLost(str(error)) from error
        return {path for _, path in found} if isinstance(found, set) else set()

    def check_coverage(self, directories: int) -> int:
        """Compare the watches the kernel holds with the folders of the tree; tell, once, when some are missing."""
        if self._notify is None:
            return 0
        watches = count_watches()
        if watches is not None and watches < directories:
            if self.reason is None:
                _log.error("inotify_incomplete", watches=watches, directories=directories, remedy=_REMEDY)
            self.reason = f"{watches} of {directories} folders are watched, scans find the rest: {_REMEDY}"
        elif self.reason is not None:
            self.reason = None
        return watches or 0

    def close(self) -> None:
        """End the watch's thread."""
        if self._notify is not None:
            self._notify.close()
            self._notify = None


def _open(root: Path) -> RustNotify:
    def arm(*, pass_over_unreadable: bool) -> RustNotify:
        return RustNotify(
            [str(root)],
            debug=False,
            force_polling=False,
            poll_delay_ms=0,
            recursive=True,
            ignore_permission_denied=pass_over_unreadable,
        )

    try:
        return arm(pass_over_unreadable=False)
    except PermissionError:
        # Passing over unreadable folders makes watchfiles silent about a used-up limit too: check_coverage() sees that.
        return arm(pass_over_unreadable=True)


def count_watches() -> int | None:
    """How many inotify watches this process holds (from /proc); None where that can't be read."""
    try:
        return sum(len(re.findall(r"^inotify ", entry.read_text(), re.MULTILINE)) for entry in _inotify_descriptors())
    except OSError:
        return None


def _inotify_descriptors() -> list[Path]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if str(entry.readlink()) == "anon_inode:inotify":
                found.append(Path("/proc/self/fdinfo") / entry.name)
        except FileNotFoundError:
            continue
    return found
