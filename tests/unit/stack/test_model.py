"""What runs, from the manifest alone: hardened by construction, whatever a service's table says or leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from build.stack import model
from build.stack.model import Limits, Mount, Port, Stack
from tests.support.project import Project


def _stack(project: Project, *services: str) -> Stack:
    manifest = project.load()
    images = dict.fromkeys(services or manifest.services, "registry/x@sha256:0")
    return model.stack(manifest, images, model.checkout(manifest, Path("/s")))


def test_a_new_service_is_hardened_without_asking(project: Project) -> None:
    """What a service table does not mention is at its safest."""
    web = _stack(project).containers["web"]

    assert web.user == "10001:10001"
    assert web.read_only
    assert web.dropped_capabilities == ("ALL",)
    assert web.security_options == ("no-new-privileges:true",)
    assert [port.address for port in web.ports] == ["127.0.0.1"]
    assert web.volumes == {}
    assert web.mounts == ()


def test_a_container_may_use_what_its_service_says_and_no_more(project: Project) -> None:
    """Memory, CPUs and processes are bounded, also where the table says nothing."""
    project.service("api", 18981, memory='"1g"', cpus='"0.5"', pids="64")
    containers = _stack(project).containers

    assert containers["api"].limits == Limits(memory="1g", cpus="0.5", pids=64)
    assert containers["web"].limits == Limits(memory="512m", cpus="1.0", pids=256)


def test_health_is_asked_often_while_starting(project: Project) -> None:
    """Without a start interval the first answer waits a whole interval."""
    check = _stack(project).containers["web"].healthcheck

    assert check.start_interval < check.interval


def test_a_service_with_two_containers_publishes_each_on_its_port(project: Project) -> None:
    """The port inside is the service's, the published one the container's own."""
    project.append(
        "[services.web.containers.left]\npublished = 18991\n[services.web.containers.right]\npublished = 18992\n"
        'environment = { SIDE = "right" }\n'
    )
    containers = _stack(project).containers

    assert {name: container.ports for name, container in containers.items()} == {
        "left": (Port(published=18991, target=project.load().services["web"].port),),
        "right": (Port(published=18992, target=project.load().services["web"].port),),
    }
    assert containers["right"].environment == {"UC_SERVICE": "right", "UC_PUBLISHED_PORT": "18992", "SIDE": "right"}


def test_e7_a_container_knows_where_it_is_published(project: Project) -> None:
    """Whatever port a user gives it, and in a sandbox, which moves them all."""
    manifest = project.load()
    web = replace(manifest.services["web"], published=18777)
    other = replace(manifest, services={"web": web})
    moved = model.stack(other, {"web": "x"}, model.checkout(other, Path()))

    assert moved.containers["web"].environment["UC_PUBLISHED_PORT"] == "18777"
    assert moved.containers["web"].ports[0].published == 18777


def test_a_dependency_that_is_left_out_is_not_waited_for(project: Project) -> None:
    """A service whose image can't be had does not keep the others from starting."""
    project.service("api", 18981, depends_on='["web"]')

    assert _stack(project).containers["api"].depends_on == ("web",)
    assert _stack(project, "api").containers["api"].depends_on == ()


def test_an_omitted_service_brings_neither_volume_nor_secret(project: Project) -> None:
    """Volumes and secrets are those of the containers that run, each with the project's name before it."""
    project.service("api", 18981, secrets='["alpha"]', volumes='{ data = "/data" }')
    name = project.load().project.name

    assert _stack(project, "api").volumes == {"data": f"{name}-data"}
    assert _stack(project, "api").secrets == {"alpha": Path("/s/alpha")}
    assert (_stack(project, "web").volumes, _stack(project, "web").secrets) == ({}, {})


def test_two_sources_of_one_tree_are_both_mounted(project: Project) -> None:
    """A source is mounted where it is configured, as often as it is asked for; one without a path not at all."""
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace('watched = ""', 'watched = "tree"\ndocs = "tree"\nagents = ""'))
    (project.root / "tree").mkdir()
    project.append('mounts = { watched = "/workspace", docs = "/docs", agents = "/agents" }\n')

    assert _stack(project).containers["web"].mounts == (
        Mount(source=project.root / "tree", target="/workspace"),
        Mount(source=project.root / "tree", target="/docs"),
    )


def test_the_internal_network_reaches_nothing_outside(project: Project) -> None:
    """Service-to-service traffic has a network without a gateway."""
    networks = _stack(project).networks

    assert (networks["internal"].internal, networks["edge"].internal) == (True, False)


def test_which_release_runs_is_a_file_so_that_a_release_restarts_nothing(project: Project) -> None:
    """A service that wants to know it gets the folder; what says it is no part of the container."""
    project.service("api", 18981, release_folder='"/run/uc"')
    before, containers = project.load().workspace.release, _stack(project).containers

    assert containers["api"].mounts == (Mount(source=before, target="/run/uc"),)
    assert containers["api"].environment["UC_RELEASE_FILE"] == "/run/uc/release.json"
    assert containers["web"].mounts == ()
    assert "UC_RELEASE_FILE" not in containers["web"].environment
