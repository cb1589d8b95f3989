"""The patient server on a disk so slow that each read of the log, once it stops, takes longer than a stream may."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import patient_server  # noqa: F401  (it sets the grace)
from groupchat_service.__main__ import main
from groupchat_service.desk import Desk
from groupchat_service.store import Store

_SECONDS = 2.0
_events, _drain = Store.events, Desk.drain


async def _slow_events(self: Store, *arguments: Any, **keywords: Any) -> Any:
    await asyncio.sleep(_SECONDS)
    return await _events(self, *arguments, **keywords)


async def _slow_drain(self: Desk) -> None:
    Store.events = _slow_events  # type: ignore[method-assign]
    await _drain(self)


if __name__ == "__main__":
    Desk.drain = _slow_drain  # type: ignore[method-assign]
    sys.exit(main())
