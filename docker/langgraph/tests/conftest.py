"""One shared server for the tests that leave it as it was; servers of their own for the others."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

# pytest imports test files by path, so the module that they share needs its folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from langgraph_harness import PLUGINS, Server
from langgraph_sdk.client import LangGraphClient

StartServer = Callable[..., Server]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for every test that does not stop it."""
    running = Server(tmp_path_factory.mktemp("shared"), LANGGRAPH_MAX_BODY="1000000", LANGGRAPH_SWEEP_SECONDS="0.1")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with room for two runs of a second each."""
    limits = {"LANGGRAPH_MAX_QUEUED": "2", "LANGGRAPH_MAX_RUNNING": "1", "LANGGRAPH_RUN_TIMEOUT": "1"}
    running = Server(tmp_path_factory.mktemp("tight"), **limits)
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers of a test's own; all are gone after it."""
    servers: list[Server] = []

    def started(agents: Path = PLUGINS, **environment: str) -> Server:
        servers.append(Server(tmp_path / f"server{len(servers)}", agents, **environment))
        return servers[-1]

    yield started
    for one in servers:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[LangGraphClient]:
    """The official client of the shared server."""
    async with server.client() as connected:
        yield connected


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client of the shared server, with the key."""
    async with server.http() as connected:
        yield connected
