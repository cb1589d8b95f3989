"""A release that was carried in as a file is deployed in a place that reaches nothing outside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import deploying
from tests.support.coherent import assert_whole
from tests.support.deployed import Engine
from tests.support.deploying import FIRST, Releases, Site
from tests.support.own_engine import OwnEngine, own_engine
from tests.support.project import Project
from tests.support.server import CONFIG, Registry
from tests.support.signing import make_keys


@dataclass(frozen=True, slots=True)
class _Inside(Project):
    """A project whose tasks run in the network namespace of an engine."""

    namespace: str = ""

    def command(self, *arguments: str) -> list[str]:
        """The argv that runs a task there."""
        return [*_entered(self.namespace), *Project.command(self, *arguments)]


def _entered(namespace: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{namespace}"]


@pytest.fixture
def engine(docker_engine: dict[str, str]) -> Iterator[OwnEngine]:
    """An engine in a network namespace that has nothing but its own loopback."""
    with own_engine() as running:
        yield running


@pytest.fixture
def local_registry(registry: Registry, engine: OwnEngine, tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry in that namespace."""
    address = "127.0.0.1:5000"
    config = tmp_path / "registry.yml"
    config.write_text(CONFIG.format(storage=tmp_path / "storage", address=address))
    argv = [*_entered(engine.folder.name), registry.program, "serve", str(config)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield address
    process.terminate()
    process.wait()


def test_a_release_is_deployed_without_any_route(
    engine: OwnEngine, local_registry: str, releases: Releases, tmp_path: Path
) -> None:
    """Without a way to git, registry or index, a bundle is loaded, verified and deployed, and runs by its digests."""
    keys = make_keys(releases.world.clone, tmp_path / "keys")
    bundle = str(tmp_path / "release.tar")
    written = releases.world.clone.inv("bundle.write", FIRST, "--out", bundle, **keys.signing)
    assert written.code == 0, written.text
    site = _site(engine, local_registry, releases, tmp_path / "notes")

    loaded = site.inv("bundle.load", bundle)
    assert loaded.code == 0, loaded.text
    ran = site.deploy(FIRST)
    assert ran.code == 0, ran.text

    assert_whole(site, FIRST)
    routes = subprocess.run(
        ["ip", "-n", engine.folder.name, "route"], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "default" not in routes.stdout


def _site(engine: OwnEngine, address: str, releases: Releases, folder: Path) -> Site:
    """A checkout without a remote and without the git tags, whose target is that engine."""
    site = deploying.site(
        releases, Engine(engine.host), folder, settings={"host": f'"{engine.host}"', "smoke": "false"}
    )
    site.clone.git("remote", "remove", "origin")
    for tag in site.clone.git("tag").split():
        site.clone.git("tag", "--delete", tag)
    site.clone.project = _Inside(site.root, engine.folder.name)
    site.variables = {"UC_REGISTRY_ADDRESS": address, "UC_RELEASE_REMOTE": ""}
    return site
