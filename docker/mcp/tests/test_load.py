"""A short piece of the load that `load.py` puts on each container for a minute."""

from __future__ import annotations

import asyncio

import load
import pytest
from mcp_rig import Server


@pytest.mark.parametrize("name", ["docs", "repository"])
def test_32_clients_at_once_are_all_answered(servers: dict[str, Server], name: str) -> None:
    """No 5xx, no failed call."""
    figures, _ = asyncio.run(load.run(servers[name].url, servers[name].token, clients=32, seconds=2))
    assert figures.errors == 0, figures
    assert len(figures.seconds) >= 32
