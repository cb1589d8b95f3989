"""Bundles of two signed releases, and the closed places that they are carried to."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.release.queries import ok
from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.server import Registry, free_address
from tests.support.signing import Keys, make_keys
from tests.support.world import SERVICES, Clone, World

Change = Callable[[dict[str, bytes]], object]


@dataclass(frozen=True, slots=True)
class Origin:
    """A world with two signed releases, 0.1.0 and 0.1.1, and bundles of them."""

    world: World
    keys: Keys
    folder: Path

    @property
    def bundle(self) -> Path:
        """The bundle of 0.1.0."""
        return self.folder / "first.tar"

    @property
    def newer(self) -> Path:
        """What 0.1.1 has and 0.1.0 has not."""
        return self.folder / "newer.tar"


@pytest.fixture(scope="session")
def origin(registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    """Two releases, and their bundles; their registry is gone by then."""
    folder = tmp_path_factory.mktemp("bundles")
    registry = Registry(registry_program, folder / "registry", free_address("127.11.0.1"), folder / "storage")
    registry.start()
    hub = Hub(registry.address)
    world = worlds.make(folder / "world", f"w{os.getpid()}-bundle", registry.address, hub)
    _share_a_layer(world)
    keys = make_keys(world.clone, folder / "keys")
    result = Origin(world, keys, folder)
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    ok(world.clone.inv("bundle.write", "0.1.0", "--out", str(result.bundle), **keys.signing))
    world.clone.commit("one")
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    newer = ("bundle.write", "0.1.1", "--since", "0.1.0", "--out", str(result.newer))
    ok(world.clone.inv(*newer, **keys.signing))
    hub.close()
    registry.stop()
    yield result


def _share_a_layer(world: World) -> None:
    """Both images begin with the same layer: what a tar is unpacked to has the times that the tar says."""
    for name in SERVICES:
        service = world.clone.project.root / "docker" / name
        (service / "Dockerfile").write_text("FROM scratch\nADD shared.tar /\nCOPY content /content\n")
        pack(service / "shared.tar", {"shared": b"the same\n"})
    world.clone.share("feat: share")


@dataclass(slots=True)
class Site:
    """A closed place: an empty registry, and a checkout without a remote and without the release's git tag."""

    registry: Registry
    hub: Hub
    clone: Clone
    namespace: str
    environment: dict[str, str] = field(default_factory=dict)

    def inv(self, *arguments: str, **environment: str) -> Any:
        """Run a task there."""
        return self.clone.inv(*arguments, **self.environment, **environment)


@pytest.fixture
def site(origin: Origin, registry_program: str, tmp_path: Path) -> Iterator[Site]:
    """A place that has the project and the public key, and nothing else."""
    with closed_place(origin, registry_program, tmp_path) as place:
        yield place


@contextlib.contextmanager
def closed_place(origin: Origin, registry_program: str, folder: Path) -> Iterator[Site]:
    """Such a place, with its registry below a folder."""
    registry = Registry(registry_program, folder / "registry", free_address("127.0.0.1"), folder / "storage")
    registry.start()
    hub = Hub(registry.address)
    clone = origin.world.another()
    clone.git("remote", "remove", "origin")
    for tag in clone.git("tag").split():
        clone.git("tag", "--delete", tag)
    settings = {
        "UC_REGISTRY_ADDRESS": registry.address,
        "UC_RELEASE_REMOTE": "",
        "UC_SIGNING_PUBLIC_KEY": origin.keys.public,
    }
    yield Site(registry, hub, clone, origin.world.namespace, settings)
    hub.close()
    registry.stop()


def read_entries(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def pack(path: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def flip(name: Callable[[dict[str, bytes]], str]) -> Change:
    def change(entries: dict[str, bytes]) -> None:
        content = bytearray(entries[name(entries)])
        content[len(content) // 2] ^= 1
        entries[name(entries)] = bytes(content)

    return change


def blob_of(repository: str, tag: str, key: str) -> Callable[[dict[str, bytes]], str]:
    """The blob that the manifest with such a tag names under `key`; of an index, its first child."""

    def find(entries: dict[str, bytes]) -> str:
        puts = json.loads(entries["bundle.json"])["put"]
        digest = next(put["digest"] for put in puts if put["repository"] == repository and put["tag"].endswith(tag))
        body = json.loads(entries[_file(digest)])
        if "manifests" in body:
            body = json.loads(entries[_file(body["manifests"][0]["digest"])])
        part = body[key]
        return _file((part[0] if isinstance(part, list) else part)["digest"])

    return find


def _file(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"
