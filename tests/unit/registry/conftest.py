"""A registry and another host, played by the rules of two proxies, and clients of the registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from build.config.manifest import Manifest
from build.registry.client import RegistryClient
from tests.support.project import make_empty
from tests.support.proxy import Proxy
from tests.support.server import free_address


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Proxy, Proxy]]:
    """Two servers for all tests, with nothing behind them."""
    with Proxy(free_address("127.0.0.1"), "127.0.0.1:1") as one, Proxy(free_address("127.0.0.2"), "127.0.0.1:1") as two:
        yield one, two


@pytest.fixture
def proxy(servers: tuple[Proxy, Proxy]) -> Proxy:
    """What stands at the registry's address."""
    servers[0].heal()
    return servers[0]


@pytest.fixture
def elsewhere(servers: tuple[Proxy, Proxy]) -> Proxy:
    """Another host."""
    servers[1].heal()
    return servers[1]


@pytest.fixture(scope="module")
def manifest(servers: tuple[Proxy, Proxy], tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A manifest whose registry is the first of them."""
    project = make_empty(tmp_path_factory.mktemp("registry") / "project")
    return project.load(UC_REGISTRY_ADDRESS=servers[0].address)


@pytest.fixture
def registry(manifest: Manifest) -> Iterator[RegistryClient]:
    """A client with one attempt and a login."""
    with RegistryClient(manifest, attempts=1) as client:
        client.logins.tokens[""] = "Basic c2VjcmV0"
        yield client


@pytest.fixture
def secure(manifest: Manifest) -> Iterator[RegistryClient]:
    """A client of a registry with TLS, which is asked nothing."""
    settings = dataclasses.replace(manifest.registry, address="registry.example")
    with RegistryClient(dataclasses.replace(manifest, registry=settings)) as client:
        yield client
