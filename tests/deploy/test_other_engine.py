"""A target on another engine, reached over the network: images are pulled there, and its ports are asked from here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import deploying
from tests.support.coherent import assert_whole, report, started, touched
from tests.support.deployed import Engine
from tests.support.deploying import CONTAINERS, FIRST, PAIR_CHANGED, WEB_CHANGED, Releases, Site
from tests.support.own_engine import OwnEngine, own_engine
from tests.support.server import Registry


@pytest.fixture(scope="module")
def engine(docker_engine: dict[str, str]) -> Iterator[OwnEngine]:
    """An engine in a network namespace of its own, with a cable to this one."""
    with own_engine(linked=True) as running:
        yield running


@pytest.fixture(scope="module")
def remote(
    engine: OwnEngine, releases: Releases, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site there; its machine sees the registry under another address than this one."""
    seen = Registry(registry.program, tmp_path_factory.mktemp("seen"), engine.registry, registry.storage)
    seen.start()
    settings = {"host": f'"{engine.tcp}"', "registry": f'"{seen.address}"'}
    folder = tmp_path_factory.mktemp("notes")
    yield deploying.site(releases, Engine(engine.tcp), folder, address=engine.address, settings=settings)
    seen.stop()


@pytest.fixture
def first(remote: Site) -> Site:
    """The same, where the first release runs."""
    ran = remote.deploy(FIRST)
    assert ran.code == 0, ran.text
    return remote


def test_a_set_there(remote: Site) -> None:
    """First deploy, update, roll back and smoke checks, all on the other engine and nothing on this one."""
    ran = remote.deploy(FIRST)
    assert ran.code == 0, ran.text
    assert_whole(remote, FIRST)
    assert report(remote, "store")["notes"] == "a note\n"
    before = started(remote)
    ran = remote.deploy(WEB_CHANGED)
    assert ran.code == 0, ran.text
    assert_whole(remote, WEB_CHANGED)
    assert touched(before, started(remote)) == {"web"}
    ran = remote.rollback()
    assert ran.code == 0, ran.text
    assert_whole(remote, FIRST)
    assert Engine().containers(remote.project) == {}
    urls = {entry["container"]: entry["url"] for entry in remote.status()["containers"]}
    assert urls["web"] == remote.url("web", "")


@pytest.mark.deep
def test_a_bad_image_there(first: Site) -> None:
    """The old set is put back there, too."""
    ran = first.deploy(first.releases.variant(web="crash", store="relabelled"))
    assert ran.code == 16, ran.text
    assert_whole(first, FIRST)


@pytest.mark.deep
@pytest.mark.parametrize("after", ["deploy", "rollback"])
def test_a_deploy_there_that_is_killed(first: Site, after: str) -> None:
    """A deploy that was killed on this machine is finished, or undone, by the next one."""
    deploy = first.start("deploy", PAIR_CHANGED)
    deploy.when("  store: ", deploy.kill)
    assert deploy.wait().code == -9
    assert first.status()["state"] == "open"

    ran = first.deploy(PAIR_CHANGED) if after == "deploy" else first.rollback()

    assert ran.code == 0, ran.text
    assert_whole(first, PAIR_CHANGED if after == "deploy" else FIRST)


@pytest.mark.deep
def test_an_engine_that_dies(first: Site, engine: OwnEngine) -> None:
    """The engine is killed in the middle of a deploy: that is said, and once it is back one set is whole again."""
    deploy = first.start("deploy", PAIR_CHANGED)
    deploy.when("  store: ", lambda: engine.kill(everything=True))
    ran = deploy.wait()
    assert ran.code in {7, 17}, ran.text
    asked = first.inv("status", "--json")
    assert asked.code == 7, asked.text

    engine.start()

    assert first.status()["state"] == "open"
    ran = first.deploy(PAIR_CHANGED)
    assert ran.code == 0, ran.text
    assert_whole(first, PAIR_CHANGED)


def test_an_engine_that_can_not_be_reached(remote: Site) -> None:
    """Exit 7, and the message says which engine does not answer."""
    with remote.settings(host='"tcp://127.0.0.1:9"'):
        for command in (("deploy", FIRST), ("rollback",), ("status",), ("deploys",)):
            ran = remote.inv(*command)
            assert ran.code == 7, ran.text
            assert "tcp://127.0.0.1:9" in ran.stderr


def test_docker_host_chooses_the_engine(releases: Releases, engine: OwnEngine, first: Site) -> None:
    """A target without `host` is where DOCKER_HOST says."""
    key = f"UC_DEPLOY_TARGETS_{deploying.TARGET.upper()}_HOST"
    ran = first.inv("status", "--json", DOCKER_HOST=engine.host, **{key: ""})
    assert ran.code == 0, ran.text
    named = first.status()
    assert {key: ran.result[key] for key in ("release", "containers")} == {
        key: named[key] for key in ("release", "containers")
    }
    assert {entry["container"] for entry in ran.result["containers"]} == set(CONTAINERS)
