"""A checkout of this repository that is pointed at a rough tree by `./inv init`, and nothing else."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.config.load import load
from build.images import bases
from tests.support import rough_tree
from tests.support.engine import docker_engine
from tests.support.project import REPOSITORY, Project, Ran
from tests.support.rough_tree import RoughTree
from tests.support.stack import clean, free_port

__all__ = ["docker_engine"]


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """The checkout, the tree that it is pointed at, and the environment that keeps it apart from other stacks."""

    project: Project
    tree: RoughTree
    variables: dict[str, str]
    available: frozenset[str]

    def inv(self, *arguments: str) -> Ran:
        """Run a task as the owner would."""
        return self.project.inv(*arguments, timeout=1500, **self.variables)

    @property
    def partly(self) -> set[int]:
        """The exit codes of a task that goes as far as this machine's base images allow."""
        return {0} if len(self.available) == len(self.project.load(**self.variables).services) else {13}


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> RoughTree:
    """The rough tree, readable for the users of containers."""
    folder = tmp_path_factory.mktemp("owner") / "orchard"
    for above in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
        above.chmod(0o755)
    return rough_tree.write(folder)


@pytest.fixture(scope="session")
def owner(docker_engine: dict[str, str], tree: RoughTree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """The checkout after `./inv init`; its stack, images and registry are removed at the end."""
    root = tmp_path_factory.mktemp("checkout")
    project = Project(root / "main")
    remote = root / "remote.git"
    Project(root).git("clone", "--quiet", "--bare", str(REPOSITORY), str(remote))
    Project(root).git("clone", "--quiet", str(remote), str(project.root))
    project.git("checkout", "--quiet", "-B", "main")
    project.git("push", "--quiet", "--force", "origin", "main")
    host = f"127.0.0.{2 + os.getpid() % 200}:{free_port()}"
    variables = {"UC_PROJECT_NAME": f"uct-owner-{os.getpid()}"}
    shipped = load(REPOSITORY, os.environ, local=False)
    project.write(".uc/bases.json", "")
    shutil.copyfile(shipped.workspace.bases, project.root / ".uc/bases.json")
    ports = [f"{container}={free_port()}" for container in shipped.containers()]
    published = [argument for port in ports for argument in ("--published", port)]
    owner = Owner(project, tree, variables, _available(project, variables))
    try:
        ran = owner.inv("init", "--root", str(tree.root), "--registry", host, "--yes", *published)
        assert ran.code == 0, ran.text
        assert owner.inv("registry.up").code == 0
        yield owner
    finally:
        owner.inv("down", "--volumes", "--yes")
        clean(variables["UC_PROJECT_NAME"], host)


def _available(project: Project, variables: dict[str, str]) -> frozenset[str]:
    """The services whose bases this machine has."""
    manifest = project.load(**variables)
    have = functools.cache(lambda key: key in bases.recorded(manifest, [key]))
    return frozenset(name for name, service in manifest.services.items() if all(map(have, service.bases)))


@pytest.fixture(scope="session")
def built(owner: Owner) -> Ran:
    """What `./inv build --push` says."""
    ran = owner.inv("build", "--push", "--json")
    assert ran.code in owner.partly, ran.text
    return ran


@pytest.fixture(scope="session")
def running(owner: Owner, built: Ran) -> Ran:
    """What `./inv up` says, after the secrets were made."""
    assert built
    assert owner.inv("secrets.init").code == 0
    ran = owner.inv("up")
    assert ran.code == 0, ran.text
    return ran


@pytest.fixture(scope="session")
def layers(owner: Owner, built: Ran, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The images as `docker save` writes them, by service."""
    from build.engine import client as docker

    folder = tmp_path_factory.mktemp("layers")
    saved = {}
    for name, image in built.result["images"].items():
        saved[name] = folder / f"{name}.tar"
        docker.cli("save", "--output", str(saved[name]), f"{image['name']}@{image['digest']}")
    return saved
