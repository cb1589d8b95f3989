"""Fixtures: one shared rule-based server, servers and a provider of a test's own."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest imports test files by path, so the modules that they share need their folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from groupchat_harness import Api, Provider, Server, StartServer, StartSlowServer


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers in one data folder; all are stopped after the test."""
    servers: list[Server] = []

    def start(module: str = "groupchat_service", **extra: str) -> Server:
        folder = tmp_path / "service"
        folder.mkdir(exist_ok=True)
        servers.append(Server(folder, module, **extra))
        return servers[-1]

    yield start
    for server in servers:
        server.client.close()
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One rule-based server of our own, for tests that look at its files and its log too."""
    folder = tmp_path_factory.mktemp("shared") / "service"
    folder.mkdir()
    running = Server(folder)
    yield running
    running.client.close()
    running.stop()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Api]:
    """One rule-based service for all tests that leave it as it was: UC_SERVICE_URL, else a process of our own."""
    if elsewhere := Api.from_env():
        with elsewhere.client:
            yield elsewhere
    else:
        yield request.getfixturevalue("local_server")


@pytest.fixture(autouse=True)
def only_clients_elsewhere(request: pytest.FixtureRequest) -> None:
    """A service that runs already is asked by the clients; what needs its files, its log or its end is left out."""
    own = {"local_server", "start_server", "provider"} & set(request.fixturenames)
    if own and "UC_SERVICE_URL" in os.environ:
        pytest.skip(f"UC_SERVICE_URL is set, and this needs a process of its own ({', '.join(sorted(own))})")


@pytest.fixture(scope="session")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The fake provider's process."""
    running = Provider(tmp_path_factory.mktemp("provider"))
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """The fake provider, as new."""
    provider_process.set(delay=0.0, keys=[], status=200, calls=[], aborted=0, half=False)
    return provider_process


@pytest.fixture(scope="session")
def model_process(tmp_path_factory: pytest.TempPathFactory, provider_process: Provider) -> Iterator[Server]:
    """A server whose model calls go to the fake provider; which one it takes is up to the key files."""
    folder = tmp_path_factory.mktemp("models") / "service"
    folder.mkdir()
    address = provider_process.url
    running = Server(folder, OPENAI_BASE_URL=f"{address}/v1", ANTHROPIC_BASE_URL=address, UC_MODEL="gpt-5-mini")
    yield running
    running.client.close()
    running.stop()


@pytest.fixture
def model_server(model_process: Server, provider: Provider) -> Server:
    """The server with models, before any key is set."""
    for name in ("openai", "anthropic"):
        model_process.set_key(name, None)
    return model_process


@pytest.fixture
def slow_server(start_server: StartServer, provider: Provider) -> StartSlowServer:
    """Starts servers of a test's own on a model that takes `delay` seconds for each answer."""

    def start(delay: float, module: str = "groupchat_service") -> Server:
        provider.set(delay=delay)
        server = start_server(module, OPENAI_BASE_URL=f"{provider.url}/v1")
        server.set_key("openai", "key-1")
        return server

    return start


@pytest.fixture
def fresh_id() -> str:
    """A session id that no other test uses."""
    return f"chat-{secrets.token_hex(6)}"
