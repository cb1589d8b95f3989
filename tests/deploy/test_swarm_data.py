"""The data of a swarm's target: kept and put back from any manager, backed up and restored through its own node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from build.deploy.target import TARGET_LABEL
from build.stack.swarm import data_label
from tests.support import counting
from tests.support.counting import SERVICE, VOLUME, Counting, counted, counts, inside
from tests.support.deployed import Engine
from tests.support.deploying import Site
from tests.support.nodes import Node, Nodes
from tests.support.own_engine import until
from tests.support.running import Running
from tests.support.server import Registry
from tests.support.swarm_site import SwarmSite, remove_all

_HOST = "UC_DEPLOY_TARGETS_HERE_HOST"


@dataclass(frozen=True, slots=True)
class Place:
    """A target whose data is on `node`, by way of that node (`near`), and of another manager (`afar`)."""

    node: Node
    near: Site
    afar: Site

    def leftovers(self) -> list[str]:
        """What is left of work that was cut short: services, containers on the node, a lock, an open entry."""
        project = self.near.project
        names = self.node.docker("service", "ls", "--format", "{{.Name}}", "--filter", f"name={project}").split()
        volumes = [word for name in (VOLUME, "kept") for word in ("--filter", f"volume={project}-{name}")]
        containers = self.node.docker("ps", "--all", "--format", "{{.ID}} {{.Names}} {{.State}}", *volumes).splitlines()
        configs = self.node.docker(
            "config", "ls", "--format", "{{.Name}}", "--filter", f"label={TARGET_LABEL}={project}"
        ).split()
        return [
            *(name for name in names if name != f"{project}_{SERVICE}"),
            *(line for line in containers if f"{project}_{SERVICE}." not in line),
            *(name for name in configs if name.endswith(("-lock", "-open"))),
        ]

    def leave_at_work(self) -> None:
        """Start what a killed process may leave: a service that works beside the volume."""
        service = f"{self.near.project}_{SERVICE}"
        form = ("--format", "{{.Spec.TaskTemplate.ContainerSpec.Image}}")
        image = self.node.docker("service", "inspect", service, *form)
        where = ("--constraint", f"node.hostname == {self.node.name}")
        name = f"{self.near.project}-data"
        self.node.docker("service", "create", "--detach", "--name", name, *where, "--entrypoint", "sleep", image, "600")

    @property
    def is_first(self) -> bool:
        """Whether it counts in the first format, and in no other one."""
        try:
            return counts(self.near).formats == (1,)
        except OSError:
            return False

    def assert_at_rest(self) -> None:
        """Assert that nothing is left, once the node has removed what has ended."""
        until(lambda: not self.leftovers(), 20, lambda: f"left: {self.leftovers()}")


@pytest.fixture(scope="module")
def _place(
    releases_of_data: Counting, registry: Registry, swarm: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    address = swarm.registry.address.replace(":5000", ":5003")
    mirror = Registry(registry.program, tmp_path_factory.mktemp("mirror"), address, registry.storage)
    node, other = swarm.all[1], swarm.first
    settings = {"kind": '"swarm"', "host": f'"{other.host}"', "address": '"0.0.0.0"', "registry": f'"{address}"'}
    afar = replace(counting.site(releases_of_data, Engine(node.host), **settings), address=node.ip)
    other.docker("node", "update", "--label-add", f"{data_label(afar.project)}=true", node.name)
    mirror.start()
    ran = afar.deploy(releases_of_data.first)
    assert ran.code == 0, ran.text
    yield Place(node, replace(afar, variables={_HOST: node.host}), afar)
    remove_all(other, afar.project)
    mirror.stop()


@pytest.fixture
def place(_place: Place, releases_of_data: Counting) -> Place:
    """A target that counts, by the first release; shared by tests, and brought back after one that left it otherwise."""
    if _place.leftovers() or not _place.is_first:
        _place.near.inv("deploy", "--resume", "--break-lock")
        ran = _place.near.deploy(releases_of_data.first, "--adopt")
        if ran.code:
            ran = _place.near.deploy(releases_of_data.first, "--adopt", "--accept-data-loss", VOLUME)
        assert ran.code == 0, ran.text
    return _place


def _kill_beside(process: Running, place: Place, filters: str) -> None:
    """`kill -9` a task as soon as something of it works beside the volume."""
    until(
        lambda: bool(place.node.docker("ps", "--quiet", "--filter", filters)) or process.process.poll() is not None,
        60, lambda: "nothing works beside the volume",
    )  # fmt: skip
    process.kill()
    assert process.wait().code == -9, "it came too late"


def _assert_hardened(place: Place) -> None:
    """What was left beside the volume has no rights, and no network but those that lead nowhere outside."""
    project = place.near.project
    (left,) = place.node.docker(
        "ps", "--all", "--quiet", "--filter", f"label=com.docker.swarm.service.name={project}-data"
    ).split()
    record = json.loads(place.node.docker("container", "inspect", left))[0]
    host = record["HostConfig"]
    assert (record["Config"]["User"], host["ReadonlyRootfs"], host["CapDrop"]) == ("10001:10001", True, ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges=true"]
    assert (host["PidsLimit"], host["Memory"]) == (64, 512 << 20)
    assert list(record["NetworkSettings"]["Networks"]) == [f"{project}-internal"]


def test_a_format_is_raised_and_taken_back_from_another_manager(place: Place, releases_of_data: Counting) -> None:
    """The data is kept where it is before the new image starts on it, and comes back with the old one.

    What an earlier process has left at work there is ended.
    """
    site, new = place.afar, releases_of_data.version("2 reads 1")
    before = counted(site)
    place.leave_at_work()

    ran = site.deploy(new)

    assert ran.code == 0, ran.text
    middle = counted(site)
    middle.assert_sound()
    assert (middle.formats, middle.last > before.last) == ((1, 2), True)
    place.assert_at_rest()

    ran = site.rollback("--accept-data-loss", VOLUME)

    assert ran.code == 0, ran.text
    after = counts(site)
    after.assert_sound()
    assert after.formats == (1,), "it is the copy that was kept before the format was raised"
    assert before.last <= after.last
    place.assert_at_rest()


@pytest.mark.deep
def test_a_deploy_that_fails_across_a_change_of_format(place: Place, releases_of_data: Counting) -> None:
    """The new image raises the format, counts on and ends: the old one runs again, on the data that it left."""
    before = counted(place.afar)

    ran = place.afar.deploy(releases_of_data.version("2 reads 1", crash=True))

    assert ran.code == 16, ran.text
    assert f"DATA: {VOLUME}" in ran.stderr
    after = counts(place.afar)
    after.assert_sound()
    assert (after.formats, before.last <= after.last) == ((1,), True)
    place.assert_at_rest()


def test_a_backup_and_a_restore_go_through_the_node_of_the_data(place: Place, tmp_path: Path) -> None:
    """Refused from another manager, with the command that works: while it counts on, the copy is whole and comes back."""
    counts(place.afar, "/note=before")
    counted(place.afar)
    file = tmp_path / "b.tar.gz"

    refused = place.afar.inv("backup", "--out", str(file))

    assert refused.code == 18, refused.text
    assert (place.node.name in refused.stderr, file.exists()) == (True, False)
    command = re.search(rf"try: ({_HOST})=ssh://{place.node.name} \./inv (backup) ", refused.stderr)
    assert command, refused.stderr
    variable, task = command.groups()
    ran = place.afar.inv(task, "--out", str(file), **{variable: place.node.host})
    assert ran.code == 0, ran.text
    copy = inside(file, tmp_path / "inside")
    copy.assert_sound()
    counts(place.afar, "/note=after")
    later = counted(place.afar, 300)
    container = place.node.containers(f"{place.near.project}_{SERVICE}")

    refused = place.afar.inv("restore", str(file))

    assert refused.code == 18, refused.text
    assert f"{_HOST}=ssh://{place.node.name} ./inv restore FILE" in refused.stderr
    assert place.node.containers(f"{place.near.project}_{SERVICE}") == container
    place.assert_at_rest()
    ran = place.near.inv("restore", str(file), "--json")
    assert ran.code == 0, ran.text
    restored = counts(place.near)
    restored.assert_sound()
    assert (later.note, restored.note) == ("after", "before")
    assert place.node.containers(f"{place.near.project}_{SERVICE}") != container
    assert [(entry["action"], entry["state"]) for entry in place.afar.deploys()[:1]] == [("restore", "done")]
    place.assert_at_rest()


def test_a_backup_that_is_killed(place: Place, tmp_path: Path) -> None:
    """It has touched nothing and leaves no file; the next one is whole."""
    file = tmp_path / "b.tar.gz"
    container = place.node.containers(f"{place.near.project}_{SERVICE}")

    _kill_beside(place.near.start("backup", "--out", str(file)), place, f"name=^{place.near.project}-data-")

    assert not file.exists()
    assert place.node.containers(f"{place.near.project}_{SERVICE}") == container
    ran = place.near.inv("backup", "--out", str(file))
    assert ran.code == 0, ran.text
    inside(file, tmp_path / "inside").assert_sound()
    place.assert_at_rest()


def test_a_restore_that_is_killed_is_finished_from_another_manager(place: Place, tmp_path: Path) -> None:
    """Killed while it works on the data that nobody writes, it leaves an open entry; another manager finishes it."""
    file = tmp_path / "b.tar.gz"
    counts(place.near, "/note=old")
    assert place.near.inv("backup", "--out", str(file)).code == 0
    counts(place.near, "/note=new")
    restore = place.near.start("restore", str(file))
    until(lambda: "keep" in " ".join(restore.lines) or restore.process.poll() is not None, 60, lambda: "hangs")
    _kill_beside(restore, place, f"label=com.docker.swarm.service.name={place.near.project}-data")
    assert place.afar.status()["state"] == "open"
    _assert_hardened(place)

    ran = place.afar.inv("deploy", "--resume", "--json")

    assert ran.code == 0, ran.text
    after = counts(place.afar)
    after.assert_sound()
    assert after.note == "old"
    place.assert_at_rest()


def test_a_removal_that_was_cut_short_is_waited_for(swarm_place: SwarmSite, swarm: Nodes) -> None:
    """A container is gone only when it has stopped, even if it is an earlier process that has removed its service."""
    slow = swarm.image(
        "slow", """ENTRYPOINT ["sh", "-c", "trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done"]"""
    )
    swarm_place.bring(swarm_place.wanted({"web": slow}))
    swarm.first.docker("service", "rm", f"{swarm_place.name}_web")

    swarm_place.target.remove("web")

    assert swarm_place.containers("web") == {}
