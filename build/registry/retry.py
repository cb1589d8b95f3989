"""How long to wait before a request is repeated."""

from __future__ import annotations

import email.utils
import random
import time

ATTEMPTS = 6
_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_ASKED = 0.2, 20.0, 60.0  # seconds


def wait(attempt: int, retry_after: str | None = None) -> None:
    """Sleep before the next attempt: as long as Retry-After says, else exponential backoff with jitter."""
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))
    pause = seconds(retry_after)
    if pause is None:
        pause = random.uniform(longest / 2, longest)  # noqa: S311  (jitter, not a secret)
    time.sleep(min(pause, _LONGEST_ASKED))


def seconds(retry_after: str | None) -> float | None:
    """Parse Retry-After: seconds or a date (RFC 9110, section 10.2.3); None if it is neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        until = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except ValueError:
        return None
    return max(0.0, until - time.time())
