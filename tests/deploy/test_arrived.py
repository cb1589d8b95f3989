"""Every item of the model of a container arrived at the containers that run, by the engine's own words."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from build.deploy import sets
from build.stack import model
from build.stack.model import Container
from tests.support.coherent import report, running
from tests.support.deploying import CONTAINERS, FIRST, TARGET, Site

_MIB = 1024 * 1024


@pytest.fixture
def expected(lane: Site) -> dict[str, Container]:
    """The containers of the lane by the model."""
    manifest = lane.clone.project.load()
    digests = lane.releases.digests(FIRST)
    images = {name: f"{manifest.image(name)}@{digest}" for name, digest in digests.items()}
    site = sets.site(manifest, manifest.deploy.targets[TARGET])
    return dict(model.stack(manifest, images, site).containers)


def _mounts(document: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {mount["Destination"]: mount for mount in document["Mounts"] if mount["Type"] == kind}


def _environment(document: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in document["Config"]["Env"])


# For each field of the model: what the engine's record of a container has in its place, and what the field means there.
ITEMS: dict[str, Callable[[Site, Container, dict[str, Any]], tuple[object, object]]] = {
    "image": lambda _, one, doc: (doc["Config"]["Image"], one.image),
    "environment": lambda _, one, doc: (
        {key: _environment(doc).get(key) for key in one.environment}, dict(one.environment),
    ),
    "networks": lambda site, one, doc: (
        set(doc["NetworkSettings"]["Networks"]), {f"{site.project}-{network}" for network in one.networks},
    ),
    "ports": lambda _, one, doc: (
        doc["HostConfig"]["PortBindings"],
        {f"{port.target}/tcp": [{"HostIp": port.address, "HostPort": str(port.published)}] for port in one.ports},
    ),
    "volumes": lambda site, one, doc: (
        {target: (mount["Name"], mount["RW"]) for target, mount in _mounts(doc, "volume").items() if mount["RW"]},
        {target: (f"{site.project}-{name}", True) for name, target in one.volumes.items()},
    ),
    "mounts": lambda _, one, doc: (
        {target: (mount["Source"], mount["RW"]) for target, mount in _mounts(doc, "bind").items() if "secrets" not in target},
        {mount.target: (str(mount.source), False) for mount in one.mounts},
    ),
    "secrets": lambda _, one, doc: (
        {target: mount["RW"] for target, mount in _mounts(doc, "bind").items() if "secrets" in target},
        {f"/run/secrets/{name}": False for name in one.secrets},
    ),
    "limits": lambda _, one, doc: (
        [doc["HostConfig"][key] for key in ("Memory", "NanoCpus", "PidsLimit")],
        [int(one.limits.memory.removesuffix("m")) * _MIB, float(one.limits.cpus) * 1e9, one.limits.pids],
    ),
    "user": lambda _, one, doc: (doc["Config"]["User"], one.user),
    "read_only": lambda _, one, doc: (doc["HostConfig"]["ReadonlyRootfs"], one.read_only),
    "dropped_capabilities": lambda _, one, doc: (tuple(doc["HostConfig"]["CapDrop"]), one.dropped_capabilities),
    "security_options": lambda _, one, doc: (tuple(doc["HostConfig"]["SecurityOpt"]), one.security_options),
    "tmpfs": lambda _, one, doc: (
        doc["HostConfig"]["Tmpfs"], {each.target: f"size={each.size},mode={each.mode:o}" for each in one.tmpfs},
    ),
    "restart": lambda _, one, doc: (doc["HostConfig"]["RestartPolicy"]["Name"], one.restart),
    "stop_grace_seconds": lambda _, one, doc: (doc["Config"]["StopTimeout"], one.stop_grace_seconds),
    "healthcheck": lambda _, one, doc: (
        {key: doc["Config"]["Healthcheck"][key] for key in ("Interval", "Timeout", "Retries", "StartPeriod", "StartInterval")},
        {
            "Interval": one.healthcheck.interval * 1e9, "Timeout": one.healthcheck.timeout * 1e9,
            "Retries": one.healthcheck.retries, "StartPeriod": one.healthcheck.start_period * 1e9,
            "StartInterval": one.healthcheck.start_interval * 1e9,
        },
    ),
    "logs": lambda _, one, doc: (
        doc["HostConfig"]["LogConfig"],
        {"Type": "json-file", "Config": {"max-size": one.logs.size, "max-file": str(one.logs.files)}},
    ),
    "release_folder": lambda site, one, doc: (
        {target: (mount["Name"], mount["RW"]) for target, mount in _mounts(doc, "volume").items() if not mount["RW"]},
        {one.release_folder: (f"{site.project}-release", False)} if one.release_folder else {},
    ),
}  # fmt: skip
# What a target with one machine has no use for, and what is the order of the deploy, not a property of a container.
_NOT_OF_COMPOSE = {"depends_on", "replicas", "placement"}


def test_every_item_has_a_check() -> None:
    """No field of the model is left out."""
    assert set(ITEMS) | _NOT_OF_COMPOSE == {field.name for field in dataclasses.fields(Container)}


@pytest.mark.parametrize("item", ITEMS)
def test_an_item_arrived(lane: Site, expected: dict[str, Container], item: str) -> None:
    """The engine has what the model says, for each container."""
    live = running(lane)
    for name, container in expected.items():
        actual, wanted = ITEMS[item](lane, container, live[name].document)
        assert actual == wanted, f"{name}: {item}"


def test_a_container_sees_it_from_inside(lane: Site, expected: dict[str, Container]) -> None:
    """Each container has its user, its variables as they are written, its secrets and its files."""
    for name in CONTAINERS:
        seen = report(lane, name)
        assert seen["user"] == expected[name].user
        for key, value in expected[name].environment.items():
            assert seen["environment"].get(key, value) == value
        hashes = {
            secret: hashlib.sha256((lane.secrets / secret).read_bytes()).hexdigest()
            for secret in expected[name].secrets
        }
        assert seen["secrets"] == hashes
    assert report(lane, "store")["notes"] == "a note\n"
    assert report(lane, "store")["environment"]["GREETING"] == 'a $HOME and ${NAME:-word}, $$ "quoted"'
