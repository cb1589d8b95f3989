"""What every Python service of the stack shares: JSON logs, secret files, the request id, graceful serving."""

import signal
import sys
from types import FrameType


def answer_sigterm() -> None:
    """End at SIGTERM from the first moment, before the slow imports: call it first in a service's __main__.

    The kernel ignores a signal that process 1 has no handler for; a stop during the start would wait for SIGKILL.
    uvicorn puts its own handler in this one's place.
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
