"""The service with a long grace, on a disk so slow that a stop's reads of the log take longer than a stream may."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import ucservice.web
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
    ucservice.web.GRACE_SECONDS = 60
    Desk.drain = _slow_drain  # type: ignore[method-assign]
    sys.exit(main())
