"""One shared server for the tests that leave it as it was; servers of their own for the others.

By default a server is a process of this environment. `--image REF` makes every one a container of that image.
`--url URL --key KEY` (or UC_SERVICE_URL and UC_SERVICE_KEY) turns to a service that runs already and serves plugins/:
the tests that start, stop or configure servers are left out then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

# pytest imports test files by path, so the module that they share needs its folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from langgraph_harness import PLUGINS, Container, Endpoint, Server, StartServer
from langgraph_sdk.client import LangGraphClient
from triage_rig import Stack

_OWN = frozenset({"server_kind", "tmp_path"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the tests turn to."""
    group = parser.getgroup("langgraph-api")
    group.addoption("--image", default=os.environ.get("UC_SERVICE_IMAGE", ""), help="run servers from this image")
    group.addoption("--url", default=os.environ.get("UC_SERVICE_URL", ""), help="a service that runs already")
    group.addoption("--key", default=os.environ.get("UC_SERVICE_KEY", ""), help="its key, or a file that holds it")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the tests that reach into a server's process."""
    config.addinivalue_line("markers", "process_only: needs a server that is a process of this user")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a server of its own when there is only somebody else's, or a process when it is a container."""

    def fits(item: pytest.Item) -> bool:
        if config.getoption("--url"):
            return not _OWN & set(getattr(item, "fixturenames", ()))
        return not (config.getoption("--image") and item.get_closest_marker("process_only"))

    config.hook.pytest_deselected(items=[item for item in items if not fits(item)])
    items[:] = [item for item in items if fits(item)]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def server_kind(pytestconfig: pytest.Config) -> type[Server]:
    """What a server is: a process, or a container of the image that --image names."""
    Container.image = pytestconfig.getoption("--image")
    return Container if Container.image else Server


@pytest.fixture(scope="session")
def own_server(tmp_path_factory: pytest.TempPathFactory, server_kind: type[Server]) -> Iterator[Server]:
    """One server for every test that does not stop it, with its files and its log."""
    folder = tmp_path_factory.mktemp("shared") / "server"
    running = server_kind(folder, LANGGRAPH_MAX_BODY="1000000", LANGGRAPH_SWEEP_SECONDS="0.1")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Endpoint:
    """The same server, or the one that --url names."""
    if url := request.config.getoption("--url"):
        key = request.config.getoption("--key")
        return Endpoint(url, Path(key).read_text().split()[0] if Path(key).is_file() else key)
    found: Server = request.getfixturevalue("own_server")
    return found


@pytest.fixture(scope="session")
def tight(tmp_path_factory: pytest.TempPathFactory, server_kind: type[Server]) -> Iterator[Server]:
    """A server with room for two runs of a second each."""
    limits = {"LANGGRAPH_MAX_QUEUED": "2", "LANGGRAPH_MAX_RUNNING": "1", "LANGGRAPH_RUN_TIMEOUT": "1"}
    running = server_kind(tmp_path_factory.mktemp("tight") / "server", PLUGINS, **limits)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def _stack(tmp_path_factory: pytest.TempPathFactory, server_kind: type[Server]) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("triage") / "service", server_kind)
    yield stack
    stack.server.stop()
    stack.powershell.close()
    stack.autogen.close()


@pytest.fixture
def stack(_stack: Stack) -> Stack:
    """The shared stack, with peers that answer as they should."""
    _stack.reset()
    return _stack


@pytest.fixture
def start(tmp_path: Path, server_kind: type[Server]) -> Iterator[StartServer]:
    """Starts servers of a test's own; all are gone after it."""
    servers: list[Server] = []

    def started(agents: Path = PLUGINS, **environment: str) -> Server:
        servers.append(server_kind(tmp_path / f"server{len(servers)}", agents, **environment))
        return servers[-1]

    yield started
    for one in servers:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
async def client(server: Endpoint) -> AsyncIterator[LangGraphClient]:
    """The official client of the shared server."""
    async with server.client() as connected:
        yield connected


@pytest.fixture
async def http(server: Endpoint) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client of the shared server, with the key."""
    async with server.http() as connected:
        yield connected
