"""What every Python service of the stack shares: JSON logs, secret files, the request id, graceful serving."""

import atexit
import os
import signal
import sys
import threading
from types import FrameType

_LAST_SECONDS = 0.5


def answer_sigterm() -> None:
    """End at SIGTERM from the first moment, before the slow imports: call it first in a service's __main__.

    The kernel ignores a signal that process 1 has no handler for; a stop during the start would wait for SIGKILL.
    uvicorn puts its own handler in this one's place, and raises the signal again when it has shut everything down.
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    # What the server cancelled still answers, in the turn that asyncio gives it now. But Python's own end would take
    # apart what was imported, and join every thread: one that imports a provider's library, or runs somebody's tool,
    # would hold the stop up for as long as it takes.
    watchdog = threading.Timer(_LAST_SECONDS, os._exit, (128 + number,))
    watchdog.daemon = True
    watchdog.start()
    atexit.register(os._exit, 128 + number)
    sys.exit(128 + number)
