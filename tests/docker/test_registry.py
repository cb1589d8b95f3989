"""The embedded registry, and a registry that is down or refuses."""

from __future__ import annotations

import json
import socket

from build.engine import client as docker
from build.engine import hardening
from build.registry import embedded
from tests.support.project import Project
from tests.support.stack import free_port


def test_up_is_idempotent_and_keeps_what_it_stores(stack_project: Project) -> None:
    """A pushed image is listed, also after down and up: the storage is a named volume."""
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("build", "--push", "--service", "one").code == 0
    before = stack_project.inv("registry.ls", "--json")
    assert stack_project.inv("registry.down").code == 0
    assert stack_project.inv("registry.up").code == 0

    after = stack_project.inv("registry.ls", "--json")

    assert list(before.result) == ["test/one"]
    assert after.stdout == before.stdout


def test_the_registry_is_hardened_and_on_loopback(stack_project: Project) -> None:
    """Non-root, read-only, no capabilities, published on its loopback address alone."""
    assert stack_project.inv("registry.up").code == 0
    manifest = stack_project.load()

    (container,) = json.loads(docker.cli("inspect", embedded.container(manifest)).stdout)

    host = container["HostConfig"]
    assert (container["Config"]["User"], host["ReadonlyRootfs"], host["CapDrop"]) == ("10001:10001", True, ["ALL"])
    assert host["RestartPolicy"]["Name"] == hardening.RESTART
    assert [port["HostIp"] for ports in host["PortBindings"].values() for port in ports] == [
        manifest.registry.address.partition(":")[0]
    ]


def test_push_to_a_registry_that_is_down(stack_project: Project) -> None:
    """A push without a registry is refused before anything is built: exit 10 and the command that starts one."""
    ran = stack_project.inv("build", "--push")

    assert ran.code == 10, ran.text
    assert "does not answer" in ran.stderr
    assert "./inv registry.up" in ran.stderr


def test_a_port_taken_by_another_process(stack_project: Project) -> None:
    """A registry port that another process holds is named with its owner: exit 12."""
    host, _, port = stack_project.load().registry.address.partition(":")
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        ran = stack_project.inv("registry.up", timeout=120)

    assert ran.code == 12, ran.text
    assert port in ran.stderr


def test_localhost_is_served(stack_project: Project) -> None:
    """`localhost` is accepted as well as the loopback address."""
    address = f"localhost:{free_port()}"

    ran = stack_project.inv("registry.up", UC_REGISTRY_ADDRESS=address)

    assert ran.code == 0, ran.text
    assert stack_project.inv("registry.ls", UC_REGISTRY_ADDRESS=address).code == 0


def test_an_address_elsewhere_is_not_served(stack_project: Project) -> None:
    """registry.up serves loopback addresses and nothing else."""
    ran = stack_project.inv("registry.up", UC_REGISTRY_ADDRESS="registry.example:443")

    assert ran.code == 10
    assert "not an embedded registry" in ran.stderr


def test_down_without_a_registry(stack_project: Project) -> None:
    """Removing a registry that does not exist says so and succeeds."""
    ran = stack_project.inv("registry.down")

    assert ran.code == 0
    assert "no registry was running" in ran.text


def test_down_with_volumes_takes_the_storage(stack_project: Project) -> None:
    """`registry.down` keeps what the registry stores; with --volumes it is removed."""
    container = embedded.container(stack_project.load())
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("registry.down").code == 0
    assert docker.cli("volume", "ls", "--quiet", "--filter", f"name={container}").stdout.strip() == container

    assert stack_project.inv("registry.up").code == 0
    ran = stack_project.inv("registry.down", "--volumes")

    assert ran.code == 0, ran.text
    assert docker.cli("volume", "ls", "--quiet", "--filter", f"name={container}").stdout == ""
