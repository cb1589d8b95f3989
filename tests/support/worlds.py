"""Fixtures of worlds: the real engine, a real registry, a bare git remote, the real `invoke`. Never skip in CI."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.proxy import Proxy
from tests.support.server import Registry, free_address
from tests.support.world import World

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def registry(registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the whole session, with a namespace for each world."""
    folder = tmp_path_factory.mktemp("registry")
    # containerd keys mounts by host without port, so each registry has its own address.
    host = f"127.{10 + os.getpid() % 200}.0.1"
    server = Registry(registry_program, folder, free_address(host), folder / "storage")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hub(registry: Registry) -> Iterator[Hub]:
    """Direct access to the registry."""
    client = Hub(registry.address)
    yield client
    client.close()


@pytest.fixture(scope="session")
def make_world(registry: Registry, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., World]:
    """Return a function that makes a world with its registry at `address`; other arguments go to [release]."""

    def make(address: str = "", **settings: Any) -> World:
        number = next(_NUMBERS)
        folder = tmp_path_factory.mktemp("world") / f"w{number}"
        namespace = f"w{os.getpid()}-{number}"
        return worlds.make(folder, namespace, address or registry.address, hub, **settings)

    return make


@pytest.fixture(scope="module")
def module_proxy(registry: Registry) -> Iterator[Proxy]:
    """One proxy for all kills of a module."""
    with Proxy(free_address("127.9.0.1"), registry.address) as running:
        yield running


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world in which nothing is released yet."""
    return make_world()


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """A proxy in front of the registry, on its own address."""
    number = next(_NUMBERS)
    host = f"127.{10 + os.getpid() % 200}.{1 + number // 250}.{1 + number % 250}"
    with Proxy(free_address(host), registry.address) as running:
        yield running


@pytest.fixture
def faulty(make_world: Callable[..., World], proxy: Proxy) -> World:
    """A world whose clones reach the registry through the proxy."""
    return make_world(proxy.address)
