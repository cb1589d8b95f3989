"""Which address the embedded registry is started on, as far as no engine has to be asked."""

from __future__ import annotations

import socket

import pytest

from build.errors import PortTaken, RegistryError
from build.registry import client, embedded
from tests.support.project import Project


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1"])
def test_an_address_without_a_port_is_not_served(project: Project, address: str) -> None:
    """A port that nobody named is not guessed: the message shows how to name one."""
    with pytest.raises(RegistryError, match=f"{address} has no port") as caught:
        embedded.up(project.load(UC_REGISTRY_ADDRESS=address), "")

    assert caught.value.hint == f"set UC_REGISTRY_ADDRESS={address}:5000"


def test_a_taken_port_of_localhost_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of loopback is as good as its address: whoever holds the port is told."""
    monkeypatch.setattr(client, "_PING_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} of the registry is taken by \S+ \(pid \d+\)"):
            embedded.up(project.load(UC_REGISTRY_ADDRESS=f"localhost:{port}"), "")
