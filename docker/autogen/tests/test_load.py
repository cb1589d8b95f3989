"""A short piece of the load that `load.py` puts on a container for a minute."""

from __future__ import annotations

import asyncio

import load
from groupchat_harness import Api


def test_32_clients_at_once_get_whole_chats_and_no_5xx(server: Api) -> None:
    """Every chat that was opened tells all its events."""
    figures, _ = asyncio.run(load.run(server.url, server.token, clients=32, seconds=3))
    assert figures.errors == 0, figures
    assert len(figures.seconds) >= 32
