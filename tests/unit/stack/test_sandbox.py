"""A sandbox shares nothing that is written or published with the stack it is made from."""

from __future__ import annotations

from build.stack import model, sandbox
from tests.support.project import Project


def test_nothing_is_shared_with_the_running_stack(project: Project) -> None:
    """Ports, project name, networks, volumes, secrets and folder are its own; what is checked, the images, is not."""
    project.service("api", 18981, secrets='["alpha"]', volumes='{ data = "/data" }')
    project.append(
        "[services.api.containers.left]\npublished = 18991\n[services.api.containers.right]\npublished = 18992\n"
    )
    manifest = project.load()
    isolated = sandbox._isolated(manifest, 4711)

    ours, its = (
        model.stack(stack, dict.fromkeys(stack.services, "x"), model.checkout(stack, stack.workspace.secrets))
        for stack in (manifest, isolated)
    )

    assert its.name == f"{manifest.project.name}-release-4711"
    assert its.containers.keys() == ours.containers.keys()
    shared = {port.published for container in ours.containers.values() for port in container.ports}
    ports = [port.published for container in its.containers.values() for port in container.ports]
    assert len(set(ports)) == len(its.containers)
    assert not shared & set(ports)
    assert {network.name for network in its.networks.values()} == {f"{its.name}-edge", f"{its.name}-internal"}
    assert its.volumes == {"data": f"{its.name}-data"}
    assert its.secrets == {"alpha": manifest.root / ".uc/sandbox-4711/secrets/alpha"}


def test_ports_are_free_and_given_once() -> None:
    """Each is held until all are known, so that the system does not hand one out twice."""
    ports = sandbox._free_ports(40)

    assert len(set(ports)) == 40


def test_the_sandbox_of_a_dead_process_has_the_same_names(project: Project) -> None:
    """It is found again by its process id: what is swept is what was started."""
    manifest = project.load()
    isolated, swept = sandbox._isolated(manifest, 4711), sandbox._renamed(manifest, 4711)

    assert (swept.project.name, swept.workspace) == (isolated.project.name, isolated.workspace)
