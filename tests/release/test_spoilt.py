"""What verification finds: everything that is taken from a signed release, or changed in it, by name."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.release.queries import INDEX, OTHER, ok
from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.server import Registry, free_address
from tests.support.signing import Keys, make_keys
from tests.support.world import SERVICES, World

Spoil = Callable[[World, Registry, Keys], None]


@dataclass(frozen=True, slots=True)
class _Signed:
    """A signed release in a registry of its own, whose storage and keys are put back for each test."""

    world: World
    registry: Registry
    keys: Keys
    kept: Path

    def restore(self) -> None:
        """Make the registry and the keys what they were after the release."""
        self.registry.stop()
        for name, place in (("storage", self.registry.storage), ("keys", self.keys.folder)):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.kept / name, place)
        self.registry.start()


@pytest.fixture(scope="module")
def released(registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Signed]:
    """A signed release, made once."""
    folder = tmp_path_factory.mktemp("spoilt")
    registry = Registry(registry_program, folder / "registry", free_address("127.0.0.1"), folder / "storage")
    registry.start()
    hub = Hub(registry.address)
    world = worlds.make(folder / "world", f"w{os.getpid()}-spoilt", registry.address, hub)
    keys = make_keys(world.clone, folder / "keys")
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    for name, place in (("storage", registry.storage), ("keys", keys.folder)):
        shutil.copytree(place, folder / "kept" / name)
    yield _Signed(world, registry, keys, folder / "kept")
    hub.close()
    registry.stop()


@pytest.fixture
def signed(released: _Signed) -> _Signed:
    """That release, as it was made."""
    released.restore()
    return released


def _drop(repository: str, kind: str, of: str = "") -> Spoil:
    def spoil(world: World, _registry: Registry, _keys: Keys) -> None:
        place = f"{world.namespace}/{repository}"
        digest = world.hub.digest(place, "0.1.0")
        if of == "platform":
            digest = world.hub.manifest(place, digest)["manifests"][0]["digest"]
        attached = world.hub.digest(place, f"{digest.replace(':', '-')}.{kind}")
        assert world.hub.delete(place, attached) == 202

    return spoil


def _swap(kind: str) -> Spoil:
    """The attachment of `two` in the place of that of `one`."""

    def spoil(world: World, _registry: Registry, _keys: Keys) -> None:
        one, two = (f"{world.namespace}/{name}" for name in SERVICES)
        source = f"{world.hub.digest(two, '0.1.0').replace(':', '-')}.{kind}"
        content, media_type = world.hub.raw(two, source)
        body = json.loads(content)
        for part in (body["config"], *body["layers"]):
            world.hub.put_blob(one, world.hub.blob(two, part["digest"]) or b"")
        tag = f"{world.hub.digest(one, '0.1.0').replace(':', '-')}.{kind}"
        assert world.hub.put(one, tag, content, media_type) == 201

    return spoil


def _move_tag(world: World, _registry: Registry, _keys: Keys) -> None:
    assert world.hub.put(f"{world.namespace}/one", "0.1.0", OTHER, INDEX) == 201


def _alter(key: str, kind: str = "") -> Spoil:
    """Change the bytes of a layer or config of an image, or of what is attached to it, where the registry keeps them."""

    def spoil(world: World, registry: Registry, _keys: Keys) -> None:
        place = f"{world.namespace}/one"
        digest = world.hub.digest(place, "0.1.0")
        below = (
            f"{digest.replace(':', '-')}.{kind}"
            if kind
            else world.hub.manifest(place, digest)["manifests"][0]["digest"]
        )
        part = world.hub.manifest(place, below)[key]
        value = (part if key == "config" else part[0])["digest"].removeprefix("sha256:")
        path = registry.storage / f"docker/registry/v2/blobs/sha256/{value[:2]}/{value}/data"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return spoil


def _lose_bill(world: World, _registry: Registry, _keys: Keys) -> None:
    place = f"{world.namespace}/one"
    tag = f"{world.hub.digest(place, '0.1.0').replace(':', '-')}.sbom"
    assert world.hub.forget(place, world.hub.manifest(place, tag)["layers"][0]["digest"]) == 202


def _lose_layer(world: World, _registry: Registry, _keys: Keys) -> None:
    place = f"{world.namespace}/one"
    index = world.hub.manifest(place, "0.1.0")
    layer = world.hub.manifest(place, index["manifests"][0]["digest"])["layers"][0]["digest"]
    assert world.hub.forget(place, layer) == 202


def _alter_signature(world: World, _registry: Registry, _keys: Keys) -> None:
    """Another byte in the signature of the record."""
    place = f"{world.namespace}/release"
    tag = f"{world.hub.digest(place, '0.1.0').replace(':', '-')}.sig"
    content, media_type = world.hub.raw(place, tag)
    body = json.loads(content)
    annotations = body["layers"][0]["annotations"]
    signature = bytearray(base64.b64decode(annotations["dev.cosignproject.cosign/signature"]))
    signature[-1] ^= 1
    annotations["dev.cosignproject.cosign/signature"] = base64.b64encode(signature).decode()
    assert world.hub.put(place, tag, json.dumps(body).encode(), media_type) == 201


def _other_key(world: World, _registry: Registry, keys: Keys) -> None:
    """Another public key in the place of the one that signed."""
    make_keys(world.clone, keys.folder / "other")
    Path(keys.public).write_bytes((keys.folder / "other" / "release.pub").read_bytes())


def _other_record(world: World, _registry: Registry, _keys: Keys) -> None:
    """Another record in the place of the signed one: the same, but for a digest."""
    place = f"{world.namespace}/release"
    content, media_type = world.hub.raw(place, "0.1.0")
    body = json.loads(content)
    document = json.loads(world.hub.blob(place, body["layers"][0]["digest"]) or b"")
    document["services"]["one"]["digest"] = document["services"]["two"]["digest"]
    altered = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
    body["layers"][0] |= {"digest": world.hub.put_blob(place, altered), "size": len(altered)}
    assert world.hub.put(place, "0.1.0", json.dumps(body, separators=(",", ":")).encode(), media_type) == 201


_SPOILT = {
    "the record has no signature": (_drop("release", "sig"), "record: signature of", "missing"),
    "an image has no signature": (_drop("one", "sig"), "one: signature of", "missing"),
    "a platform has no signature": (_drop("one", "sig", "platform"), "one: signature of", "missing"),
    "an image has no attestations": (_drop("two", "att"), "two: attestations", "missing"),
    "the record has no attestations": (_drop("release", "att"), "record: attestations", "missing"),
    "a signature of another image": (_swap("sig"), "one: signature of", "wrong"),
    "attestations of another image": (_swap("att"), "one: attestations: wrong (it is about another image)", "wrong"),
    "a tag was moved": (_move_tag, "one: tag 0.1.0", "wrong"),
    "a layer was altered": (_alter("layers"), "one: image", "wrong"),
    "a config was altered": (_alter("config"), "one: image", "wrong"),
    "a bill of materials was altered": (_alter("layers", "sbom"), "one: bill of materials", "wrong"),
    "a bill of materials is gone": (_lose_bill, "one: bill of materials", "missing"),
    "an attestation was altered": (_alter("layers", "att"), "one: attestations", "wrong"),
    "a layer is gone": (_lose_layer, "one: image", "missing"),
    "a signature was altered": (_alter_signature, "record: signature of", "wrong"),
    "another key": (_other_key, "one: signature of", "wrong"),
    "another record": (_other_record, "record: git tag", "wrong"),
}  # fmt: skip


_REFUSED = ("a platform has no signature", "a tag was moved", "a layer is gone", "another record")


def test_a_whole_release_verifies(signed: _Signed) -> None:
    """A signed release verifies with its public key alone, and nothing is missing."""
    result = ok(signed.world.clone.inv("verify", "0.1.0", "--json", "--key", signed.keys.public)).result

    assert result["verified"] is True
    assert {check["state"] for check in result["releases"][0]["checks"]} == {"ok"}


@pytest.mark.parametrize("name", _SPOILT)
def test_what_is_missing_or_wrong_is_named(signed: _Signed, name: str) -> None:
    """Whatever is taken from a release or changed in it, verifying it fails with its own exit code, and names it."""
    spoil, what, state = _SPOILT[name]
    world = signed.world
    spoil(world, signed.registry, signed.keys)

    ran = world.clone.inv("verify", "0.1.0", **signed.keys.verifying)

    assert ran.code == 21, ran.text
    assert [line for line in ran.stderr.splitlines() if what in line and state in line], ran.text
    if name in _REFUSED:  # the same checks, but for the bytes of layers, which whoever fetches them verifies
        ran = world.clone.inv("up", "--release", "0.1.0", **signed.keys.verifying)
        assert ran.code == 21, ran.text


_DROPPED = (("release", "sig", ""), ("one", "sig", ""), ("one", "sig", "platform"), ("one", "sbom", ""))


def test_what_was_deleted_is_put_back_by_a_machine_without_the_key(signed: _Signed) -> None:
    """Signatures are made again from the git tag, bills and attestations named again: the same bytes as before."""
    world, before = signed.world, signed.world.public().images
    for dropped in _DROPPED:
        _drop(*dropped)(world, signed.registry, signed.keys)
    place = f"{world.namespace}/two"
    tag = f"{world.hub.digest(place, '0.1.0').replace(':', '-')}.att"
    shutil.rmtree(signed.registry.storage / f"docker/registry/v2/repositories/{place}/_manifests/tags/{tag}")
    ran = world.clone.inv("verify", "0.1.0", **signed.keys.verifying)
    assert (ran.code, "./inv release --resume puts back" in ran.stderr) == (21, True), ran.text

    ran = ok(world.another().inv("release", "--resume", **signed.keys.verifying))

    assert "v0.1.0: 5 tags of signatures, attestations and bills of materials put back" in ran.stderr
    assert world.public().images == before
    assert ok(world.clone.inv("verify", "0.1.0", "--json", **signed.keys.verifying)).result["verified"] is True


def test_lost_attestations_come_back_from_a_bundle(signed: _Signed, tmp_path: Path) -> None:
    """What only the key could make again is named with the command that restores it, and that does."""
    world, bundle = signed.world, str(tmp_path / "bundle.tar")
    ok(world.clone.inv("bundle.write", "0.1.0", "--out", bundle, **signed.keys.signing))
    _drop("one", "att")(world, signed.registry, signed.keys)

    ran = ok(world.clone.inv("release", "--resume", **signed.keys.verifying))

    assert "./inv bundle.load FILE" in ran.stderr
    ok(world.clone.inv("bundle.load", bundle, **signed.keys.verifying))
    assert ok(world.clone.inv("verify", "0.1.0", "--json", **signed.keys.verifying)).result["verified"] is True
