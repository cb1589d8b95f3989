"""A release in one file: written, verified, loaded into a registry that has no way to the first one, and run there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from build.engine import client as docker
from tests.release.queries import ok
from tests.support import database_writer
from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.proxy import Proxy
from tests.support.server import Registry, free_address
from tests.support.signing import Keys, cosign, make_keys
from tests.support.world import SERVICES, Clone, World


@dataclass(frozen=True, slots=True)
class _Origin:
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


@pytest.fixture(scope="module")
def origin(registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Origin]:
    """Two releases, and their bundles; their registry is gone by then."""
    folder = tmp_path_factory.mktemp("bundles")
    registry = Registry(registry_program, folder / "registry", free_address("127.11.0.1"), folder / "storage")
    registry.start()
    hub = Hub(registry.address)
    world = worlds.make(folder / "world", f"w{os.getpid()}-bundle", registry.address, hub)
    keys = make_keys(world.clone, folder / "keys")
    result = _Origin(world, keys, folder)
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    ok(world.clone.inv("bundle.write", "0.1.0", "--out", str(result.bundle), **keys.signing))
    world.clone.commit("one")
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    newer = ("bundle.write", "0.1.1", "--since", "0.1.0", "--out", str(result.newer))
    ok(world.clone.inv(*newer, **keys.signing))
    hub.close()
    registry.stop()
    yield result


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
def site(origin: _Origin, registry_program: str, tmp_path: Path) -> Iterator[Site]:
    """A place that has the project and the public key, and nothing else."""
    registry = Registry(registry_program, tmp_path / "registry", free_address("127.0.0.1"), tmp_path / "storage")
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


def _entries(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def _pack(path: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_a_bundle_is_loaded_and_verified_in_a_closed_place(origin: _Origin, site: Site) -> None:
    """What was loaded verifies there, by the task and by cosign, with the digests and under the names it was made with."""
    ran = ok(site.inv("bundle.load", str(origin.bundle), "--json"))

    assert ran.result["registry"] == f"{site.registry.address}/{site.namespace}"
    assert ok(site.inv("verify", "0.1.0", "--json")).result["verified"] is True
    for name in (*SERVICES, "release"):
        digest = site.hub.digest(f"{site.namespace}/{name}", "0.1.0")
        assert {site.hub.digest(f"{site.namespace}/{name}", short) for short in ("0.1", "0")} == {digest}
        image = f"{site.registry.address}/{site.namespace}/{name}@{digest}"
        assert cosign("verify", "--key", origin.keys.public, image).returncode == 0
    again = ok(site.inv("bundle.load", str(origin.bundle), "--json"))
    assert (ran.result["sent"] > 0, again.result["sent"]) == (True, 0)


def test_a_load_that_was_killed_is_finished_by_the_same_command(origin: _Origin, site: Site) -> None:
    """After kill -9 the release is not complete there, and the same command completes it, sending only what lacks."""
    with Proxy(free_address("127.12.0.1"), site.registry.address) as proxy:
        site.environment["UC_REGISTRY_ADDRESS"] = proxy.address
        running = site.clone.start("bundle.load", str(origin.bundle), **site.environment)
        while not proxy.count(r"PUT .*/one/manifests/sha256:"):
            assert running.process.poll() is None
        running.kill()
        assert running.wait().code == -9
        assert site.hub.digest(f"{site.namespace}/release", "0.1.0") == ""

        ok(site.inv("bundle.load", str(origin.bundle)))

        assert ok(site.inv("verify", "0.1.0", "--json")).result["verified"] is True


def test_the_same_release_is_the_same_bytes(origin: _Origin, site: Site, tmp_path: Path) -> None:
    """A bundle written again, of a registry it was loaded into, differs in nothing: no time, owner or order is in it."""
    ok(site.inv("bundle.load", str(origin.bundle)))
    signing = {name: value for name, value in origin.keys.signing.items() if "PUBLIC" not in name}

    ok(site.inv("bundle.write", "0.1.0", "--out", str(tmp_path / "again.tar"), **signing))

    assert (tmp_path / "again.tar").read_bytes() == origin.bundle.read_bytes()


def test_only_what_is_new_is_carried(origin: _Origin, site: Site) -> None:
    """A bundle since an earlier release lacks its layers: it is refused where they are not, and loaded where they are."""
    names = set(_entries(origin.newer)) & set(_entries(origin.bundle))
    refused = site.inv("bundle.load", str(origin.newer))
    assert refused.code == 14, refused.text
    assert "load the bundle of" in refused.stderr
    assert site.hub.tags(f"{site.namespace}/one") == []

    ok(site.inv("bundle.load", str(origin.bundle)))
    ok(site.inv("bundle.load", str(origin.newer)))

    assert ok(site.inv("verify", "0.1.1", "--json")).result["verified"] is True
    contents = json.loads(_entries(origin.newer)["bundle.json"])
    assert contents["left_out"]
    absent = {f"blobs/sha256/{digest[7:]}" for digests in contents["left_out"].values() for digest in digests}
    assert not absent & names


def test_the_vulnerability_database_is_carried(world: World, origin: _Origin, site: Site, tmp_path: Path) -> None:
    """With --with-db the other place gets the database too, and its scans use it; packed twice, it is the same bytes."""
    made = datetime.now(UTC).replace(microsecond=0)
    layer = database_writer.artifact(database_writer.bolt(database_writer.advisories()), made)
    settings = {"UC_GATES_DB_REPOSITORY": database_writer.push(world.address, f"{world.namespace}/db", layer)}
    ok(world.clone.release())
    files = [tmp_path / name for name in ("first.tar", "second.tar")]
    for file in files:
        ok(world.clone.inv("bundle.write", "0.1.0", "--with-db", "--out", str(file), **settings))
    assert files[0].read_bytes() == files[1].read_bytes()
    site.environment |= {"UC_SIGNING_PUBLIC_KEY": "", "UC_REGISTRY_NAMESPACE": world.namespace}
    loaded = ok(site.inv("bundle.load", str(files[0]), "--json")).result

    scanned = site.inv("scan", "--release", "0.1.0", "--json", UC_GATES_DB_REPOSITORY=loaded["database"])

    assert {verdict["vulnerabilities_checked"] for verdict in ok(scanned).result} == {True}


def test_stock_tools_check_a_bundle(origin: _Origin, tmp_path: Path) -> None:
    """sha256sum checks every file of it, and openssl who signed the sums; VERIFY.md has these very commands."""
    subprocess.run(["tar", "--extract", "--file", str(origin.bundle), "--directory", str(tmp_path)], check=True)
    guide = (tmp_path / "VERIFY.md").read_text()
    shutil.copy(origin.keys.public, tmp_path / "release.pub")

    for command in (
        "sha256sum --check --strict --quiet SHA256SUMS",
        "openssl dgst -sha256 -verify release.pub -signature SHA256SUMS.sig SHA256SUMS",
    ):
        assert f"    {command}\n" in guide
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    listed = {line.partition("  ")[2] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS", "SHA256SUMS.sig", "release.pub"}


@pytest.mark.usefixtures("docker_engine")
def test_docker_loads_the_images_of_a_bundle(origin: _Origin) -> None:
    """`docker load` takes the images from it, and nothing else, under their names and with their digests."""
    contents = json.loads(_entries(origin.bundle)["bundle.json"])
    expected = {put["repository"]: put["digest"] for put in contents["put"] if put["tag"] == "0.1.0"}
    home = contents["releases"][0]["registry"]
    try:
        printed = docker.cli("load", "--input", str(origin.bundle)).stdout
        assert printed.count("Loaded image") == len(SERVICES)
        for name in SERVICES:
            image = docker.cli("image", "inspect", "--format", "{{.Id}}", f"{home}/{name}:0.1.0").stdout.strip()
            assert image == expected[name]
    finally:
        for name in SERVICES:
            docker.cli("image", "rm", "--force", f"{home}/{name}:0.1.0")


Change = Callable[[dict[str, bytes]], object]


def _flip(name: Callable[[dict[str, bytes]], str]) -> Change:
    def change(entries: dict[str, bytes]) -> None:
        content = bytearray(entries[name(entries)])
        content[len(content) // 2] ^= 1
        entries[name(entries)] = bytes(content)

    return change


def _largest(entries: dict[str, bytes]) -> str:
    return max((name for name in entries if name.startswith("blobs/")), key=lambda name: len(entries[name]))


def _summed(change: Change) -> Change:
    """The change, with sums that fit again, which nobody signed."""

    def apply(entries: dict[str, bytes]) -> None:
        change(entries)
        hashes = {
            name: hashlib.sha256(content).hexdigest() for name, content in entries.items() if name[:6] != "SHA256"
        }
        entries["SHA256SUMS"] = "".join(f"{value}  {name}\n" for name, value in sorted(hashes.items())).encode()

    return apply


def _unsigned(change: Change) -> Change:
    """The same, with the signature of the sums taken away: what is signed inside must tell."""

    def apply(entries: dict[str, bytes]) -> None:
        _summed(change)(entries)
        entries.pop("SHA256SUMS.sig", None)

    return apply


def _without(kind: str) -> Change:
    """The table without what has such a tag."""

    def change(entries: dict[str, bytes]) -> None:
        table = json.loads(entries["bundle.json"])
        table["put"] = [put for put in table["put"] if not put["tag"].endswith(kind)]
        entries["bundle.json"] = json.dumps(table).encode()

    return change


def _record_first(entries: dict[str, bytes]) -> None:
    table = json.loads(entries["bundle.json"])
    table["put"] = [table["put"][-1], *table["put"][:-1]]
    entries["bundle.json"] = json.dumps(table).encode()


def _other_image(entries: dict[str, bytes]) -> None:
    """The tag of one image on another."""
    table = json.loads(entries["bundle.json"])
    digests = {put["repository"]: put["digest"] for put in table["put"] if put["tag"] == "0.1.0"}
    for put in table["put"]:
        if (put["repository"], put["tag"]) == ("one", "0.1.0"):
            put["digest"] = digests["two"]
    entries["bundle.json"] = json.dumps(table).encode()


_SPOILT: dict[str, tuple[Change, str]] = {
    "a layer was altered": (_flip(_largest), "its bytes are not those of SHA256SUMS"),
    "a layer and its sum were altered": (_summed(_flip(_largest)), "none of the keys signed SHA256SUMS"),
    "the table was altered": (_flip(lambda _: "bundle.json"), "bundle.json: its bytes are not those"),
    "a blob is missing": (lambda entries: entries.pop(_largest(entries)), "missing"),
    "a blob and its sum are missing": (_unsigned(lambda entries: entries.pop(_largest(entries))), "is missing"),
    "a file was added": (lambda entries: entries.update({"more": b""}), "more: not in SHA256SUMS"),
    "the signature was altered": (_flip(lambda _: "SHA256SUMS.sig"), "none of the keys signed SHA256SUMS"),
    "no sums": (lambda entries: entries.pop("SHA256SUMS"), "lacks SHA256SUMS"),
    "no table": (lambda entries: entries.pop("bundle.json"), "lacks bundle.json"),
    "the signatures were left out": (_unsigned(_without(".sig")), "signature of"),
    "the attestations were left out": (_unsigned(_without(".att")), "attestations: missing"),
    "the record comes first": (_unsigned(_record_first), "puts the record of 0.1.0 before its images"),
    "another image under the name": (_unsigned(_other_image), "one: tag 0.1.0: wrong"),
    "a name that leads out": (lambda entries: entries.update({"../out": b""}), "not a plain file with a plain name"),
    "a newer table": (
        _unsigned(lambda entries: entries.update({"bundle.json": b'{"schema": 2}'})), "schema 2, this toolkit reads 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _SPOILT)
def test_a_spoilt_bundle_puts_nothing(origin: _Origin, site: Site, tmp_path: Path, name: str) -> None:
    """Whatever is changed in a bundle, it is refused with a name for it before a byte is put."""
    change, reason = _SPOILT[name]
    entries = _entries(origin.bundle)
    change(entries)
    file = _pack(tmp_path / "spoilt.tar", entries)

    ran = site.inv("bundle.load", str(file))

    assert ran.code == 21, ran.text
    assert reason in ran.stderr
    assert [site.hub.tags(f"{site.namespace}/{name}") for name in (*SERVICES, "release")] == [[], [], []]


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_bundle_that_broke_off_is_refused(origin: _Origin, site: Site, tmp_path: Path, size: int) -> None:
    """A file that is cut off, empty, or no tar at all is refused in words."""
    (tmp_path / "cut.tar").write_bytes(origin.bundle.read_bytes()[:size])

    ran = site.inv("bundle.verify", str(tmp_path / "cut.tar"))

    assert ran.code == 21, ran.text
    assert "cut.tar" in ran.stderr


def test_a_version_that_is_there_is_not_replaced(origin: _Origin, site: Site) -> None:
    """Where the registry has another release of that version, the load stops, and names the tag."""
    content = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    repository = f"{site.namespace}/one"
    assert site.hub.put(repository, "0.1.0", content, "application/vnd.oci.image.index.v1+json") == 201

    ran = site.inv("bundle.load", str(origin.bundle))

    assert ran.code == 15, ran.text
    assert f"{repository}:0.1.0 is there with another digest" in ran.stderr
    assert site.hub.digest(f"{site.namespace}/release", "0.1.0") == ""
