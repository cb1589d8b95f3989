"""The releases that the suite deploys, made once, and the sites that it deploys them to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import coherent, counting, deploying, small
from tests.support.coherent import assert_whole
from tests.support.counting import Counting
from tests.support.deployed import Engine
from tests.support.deploying import FIRST, Releases, Site
from tests.support.engine import docker_engine, python_base, registry_program
from tests.support.hub import Hub
from tests.support.kube_place import kubectl_folder, place
from tests.support.nodes import Nodes, nodes
from tests.support.on_swarm import OnSwarm
from tests.support.project import Project
from tests.support.server import Registry
from tests.support.swarm_site import SwarmSite, remove_all, swarm_site
from tests.support.worlds import hub, registry

__all__ = ["docker_engine", "hub", "kubectl_folder", "place", "python_base", "registry", "registry_program"]


@pytest.fixture(scope="session")
def releases(
    registry: Registry, hub: Hub, python_base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Releases]:
    """The releases 0.1.0 to 0.1.3; their images are removed at the end."""
    namespace = f"d{os.getpid()}"
    folder = tmp_path_factory.mktemp("releases") / "world"
    yield deploying.make(folder, namespace, registry.address, hub, python_base)
    Engine().remove_images(f"{registry.address}/{namespace}")


@pytest.fixture(scope="session")
def make_site(releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Return a function that makes a site on this machine's engine; all are removed at the end."""
    sites: list[Site] = []

    def make(**settings: str) -> Site:
        site = deploying.site(releases, Engine(), tmp_path_factory.mktemp("notes"), settings=settings)
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.engine.clean(site.project)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site that nothing was deployed to yet."""
    site = make_site()
    yield site
    site.engine.clean(site.project)


@pytest.fixture(scope="session")
def _lane(make_site: Callable[..., Site]) -> Site:
    return make_site(history="30")


@pytest.fixture
def lane(_lane: Site) -> Site:
    """A site that runs 0.1.0 and has no drift, shared by tests that leave it whole; made whole again if one did not."""
    try:
        assert_whole(_lane, FIRST)
    except AssertionError:
        ran = _lane.deploy(FIRST, "--adopt", "--break-lock")
        if ran.code:
            _lane.engine.clean(_lane.project)
            ran = _lane.deploy(FIRST)
        assert ran.code == 0, ran.text
        assert_whole(_lane, FIRST)
    return _lane


@pytest.fixture(scope="session")
def swarm(registry_program: str) -> Iterator[Nodes]:
    """Three nodes that are the managers of one swarm, and a fourth that is in none."""
    with nodes(registry_program, 4) as four:
        four.swarm(managers=3, members=3)
        yield four


@pytest.fixture(scope="session")
def swarm_images(swarm: Nodes) -> dict[str, str]:
    """Images in the registry of the nodes by what they do, as NAME@DIGEST."""
    return {
        "good": swarm.image("good"),
        "newer": swarm.image("newer", "LABEL newer=1"),
        "crashing": swarm.image("crashing", 'ENTRYPOINT ["sh", "-c", "echo no such table; exit 3"]'),
        "sick": swarm.image("sick", 'HEALTHCHECK CMD ["sh", "-c", "exit 1"]'),
    }


@pytest.fixture(scope="session")
def make_swarm_site(
    releases: Releases, registry: Registry, swarm: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Return a function that makes a site on the swarm, whose nodes reach the registry under an address of their own.

    All sites are removed at the end.
    """
    sites: list[Site] = []
    folder = tmp_path_factory.mktemp("swarm")
    address = swarm.registry.address.replace(":5000", ":5002")
    mirror = Registry(registry.program, folder / "mirror", address, registry.storage)
    mirror.start()

    def make(**settings: str) -> Site:
        usual = {
            "host": f'"{swarm.first.host}"', "registry": f'"{address}"',
            "placement": f'{{ store = ["node.hostname == {swarm.all[1].name}"] }}',
        }  # fmt: skip
        site = deploying.site(
            releases, Engine(swarm.first.host), tmp_path_factory.mktemp("notes"), kind="swarm", address="0.0.0.0",
            settings=usual | settings,
        )  # fmt: skip
        sites.append(site)
        return site

    yield make
    for site in sites:
        remove_all(swarm.first, site.project)
    mirror.stop()


@pytest.fixture(scope="session")
def small_first(releases: Releases, swarm: Nodes) -> str:
    """A release of the small image, for sites on the swarm."""
    return small.make(releases, swarm)


@pytest.fixture(scope="session")
def small_site(make_swarm_site: Callable[..., Site], small_first: str) -> Site:
    """A site on the swarm with two replicas of pair-a, which some release of the small image was deployed to."""
    site = make_swarm_site(history="40", replicas="{ pair-a = 2 }")
    # Its notes are in a volume: a path would be tried on each node before each deploy.
    file = site.root / "versions.local.toml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join('notes = "volume:notes"' if line.startswith("notes = ") else line for line in lines))
    ran = site.deploy(small_first)
    assert ran.code == 0, ran.text
    return site


@pytest.fixture
def small_swarm(small_site: Site, swarm: Nodes, small_first: str) -> OnSwarm:
    """The site on the swarm with `small_first`, whole, and how to ask the swarm itself."""
    there = OnSwarm(small_site, swarm, {"pair-a": 2})
    try:
        there.assert_whole(small_first)
    except AssertionError:
        ran = small_site.deploy(small_first, "--adopt", "--break-lock")
        assert ran.code == 0, ran.text
        there.assert_whole(small_first)
    return there


@pytest.fixture
def swarm_place(swarm: Nodes, empty_project: Project) -> Iterator[SwarmSite]:
    """A project on the swarm, which nothing of it is deployed to yet."""
    with swarm_site(swarm, empty_project) as place:
        yield place


@pytest.fixture(scope="session")
def releases_of_data(
    registry: Registry, hub: Hub, python_base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counting]:
    """The releases of a service that keeps data; their images are removed at the end."""
    namespace = f"dd{os.getpid()}"
    yield counting.make(tmp_path_factory.mktemp("data") / "world", namespace, registry.address, hub, python_base)
    Engine().remove_images(f"{registry.address}/{namespace}")


@pytest.fixture
def make_counter(releases_of_data: Counting) -> Iterator[Callable[..., Site]]:
    """Return a function that deploys a release to a site of its own."""
    sites: list[Site] = []

    def make(version: str) -> Site:
        site = counting.site(releases_of_data, Engine())
        sites.append(site)
        ran = site.deploy(version)
        assert ran.code == 0, ran.text
        return site

    yield make
    for site in sites:
        site.engine.clean(site.project)


@pytest.fixture(scope="session")
def _counter(releases_of_data: Counting) -> Iterator[Site]:
    site = counting.site(releases_of_data, Engine())
    yield site
    site.engine.clean(site.project)


@pytest.fixture
def counter(_counter: Site, releases_of_data: Counting) -> Site:
    """A site that counts, by the first release; shared by tests, and begun anew after one that left another release."""
    if not coherent.running(_counter) or _counter.status()["release"] != releases_of_data.first:
        _counter.engine.clean(_counter.project)
        ran = _counter.deploy(releases_of_data.first)
        assert ran.code == 0, ran.text
    return _counter
