"""A release in one file: written, verified, loaded into a registry that has no way to the first one, and run there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from build.engine import client as docker
from tests.release.bundled import Origin, Site, blob_of, flip, pack, read_entries
from tests.release.queries import ok
from tests.support import database_writer, debian
from tests.support.proxy import Proxy
from tests.support.server import free_address
from tests.support.signing import cosign
from tests.support.stack import clean, free_port, reuse_bases
from tests.support.world import SERVICES, World


def test_a_bundle_is_loaded_and_verified_in_a_closed_place(origin: Origin, site: Site) -> None:
    """What was loaded verifies there, by the task and by cosign, with the digests and under the names it was made with."""
    ran = ok(site.inv("bundle.load", str(origin.bundle), "--json"))

    assert ran.result["registry"] == f"{site.registry.address}/{site.namespace}"
    assert ok(site.inv("verify", "0.1.0", "--json")).result["verified"] is True
    for name in (*SERVICES, "release"):
        digest = site.hub.digest(f"{site.namespace}/{name}", "0.1.0")
        assert {site.hub.digest(f"{site.namespace}/{name}", short) for short in ("0.1", "0")} == {digest}
        image = f"{site.registry.address}/{site.namespace}/{name}@{digest}"
        assert cosign("verify", "--key", origin.keys.public, image).returncode == 0
    (release,) = ok(site.inv("releases", "--json")).result
    assert (release["state"], release["made_in"]) == ("complete", f"{origin.world.address}/{site.namespace}")
    again = ok(site.inv("bundle.load", str(origin.bundle), "--json"))
    assert (ran.result["sent"] > 0, again.result["sent"]) == (True, 0)


def test_what_several_repositories_have_is_sent_once(origin: Origin, site: Site) -> None:
    """A blob goes over the network once, and the other repositories mount it."""
    entries = read_entries(origin.bundle)
    manifests = {put["digest"] for put in json.loads(entries["bundle.json"])["put"]}
    blobs = {name: len(content) for name, content in entries.items() if name.startswith("blobs/")}

    loaded = ok(site.inv("bundle.load", str(origin.bundle), "--json")).result

    assert loaded["sent"] == sum(
        size for name, size in blobs.items() if f"sha256:{name.rpartition('/')[2]}" not in manifests
    )


def test_a_load_that_was_killed_is_finished_by_the_same_command(origin: Origin, site: Site) -> None:
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


def test_the_same_release_is_the_same_bytes(origin: Origin, site: Site, tmp_path: Path) -> None:
    """A bundle written again, of a registry it was loaded into, differs in nothing: no time, owner or order is in it."""
    ok(site.inv("bundle.load", str(origin.bundle)))
    signing = {name: value for name, value in origin.keys.signing.items() if "PUBLIC" not in name}

    ok(site.inv("bundle.write", "0.1.0", "--out", str(tmp_path / "again.tar"), **signing))

    assert (tmp_path / "again.tar").read_bytes() == origin.bundle.read_bytes()


def test_only_what_is_new_is_carried(origin: Origin, site: Site) -> None:
    """A bundle since an earlier release lacks its layers: it is refused where they are not, and loaded where they are."""
    names = set(read_entries(origin.newer)) & set(read_entries(origin.bundle))
    refused = site.inv("bundle.load", str(origin.newer))
    assert refused.code == 14, refused.text
    assert "load the bundle of" in refused.stderr
    assert site.hub.tags(f"{site.namespace}/one") == []

    ok(site.inv("bundle.load", str(origin.bundle)))
    ok(site.inv("bundle.load", str(origin.newer)))

    assert ok(site.inv("verify", "0.1.1", "--json")).result["verified"] is True
    contents = json.loads(read_entries(origin.newer)["bundle.json"])
    assert contents["left_out"]
    absent = {f"blobs/sha256/{digest[7:]}" for digests in contents["left_out"].values() for digest in digests}
    assert not absent & names


def test_the_vulnerability_database_is_carried(world: World, origin: Origin, site: Site, tmp_path: Path) -> None:
    """With --with-db the other place gets the database too, and its scans use it; packed twice, it is the same bytes.

    One that was altered is refused.
    """
    made = datetime.now(UTC).replace(microsecond=0)
    layer = database_writer.artifact(database_writer.bolt(database_writer.advisories()), made)
    settings = {"UC_GATES_DB_REPOSITORY": database_writer.push(world.address, f"{world.namespace}/db", layer)}
    ok(world.clone.release())
    files = [tmp_path / name for name in ("first.tar", "second.tar")]
    for file in files:
        ok(world.clone.inv("bundle.write", "0.1.0", "--with-db", "--out", str(file), **settings))
    assert files[0].read_bytes() == files[1].read_bytes()
    site.environment |= {"UC_SIGNING_PUBLIC_KEY": "", "UC_REGISTRY_NAMESPACE": world.namespace}
    spoilt = read_entries(files[0])
    flip(blob_of("trivy-db", "2", "layers"))(spoilt)
    refused = site.inv("bundle.load", str(pack(tmp_path / "spoilt.tar", spoilt)))
    assert (refused.code, "(content of the vulnerability database): its bytes" in refused.stderr) == (21, True)
    loaded = ok(site.inv("bundle.load", str(files[0]), "--json")).result

    scanned = site.inv("scan", "--release", "0.1.0", "--json", UC_GATES_DB_REPOSITORY=loaded["database"])

    assert {verdict["vulnerabilities_checked"] for verdict in ok(scanned).result} == {True}


def test_a_dry_run_writes_nothing_and_says_what_would_stop_it(origin: Origin, site: Site, tmp_path: Path) -> None:
    """It has the size of the file to the byte, and a database that is not to be had is a failure as in earnest."""
    ok(site.inv("bundle.load", str(origin.bundle)))
    file = tmp_path / "release.tar"
    write = ("bundle.write", "0.1.0", "--out", str(file))
    silent = f"{free_address('127.0.0.1')}/trivy-db:2"

    dry = ok(site.inv(*write, "--dry-run", "--json")).result
    refused = [
        site.inv(*write, "--with-db", *more, UC_GATES_DB_REPOSITORY=db)
        for db in ("none", silent)
        for more in (("--dry-run",), ())
    ]

    assert not file.exists()
    assert ok(site.inv(*write, "--json")).result == dry
    assert dry["size"] == file.stat().st_size
    assert [(ran.code, "--with-db: there is no vulnerability database" in ran.stderr) for ran in refused] == [
        (8, True)
    ] * 4


def test_stock_tools_check_a_bundle(origin: Origin, tmp_path: Path) -> None:
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
def test_docker_loads_the_images_of_a_bundle(origin: Origin) -> None:
    """`docker load` takes the images from it, and nothing else, under their names and with their digests."""
    contents = json.loads(read_entries(origin.bundle)["bundle.json"])
    expected = _digests(origin.bundle)
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


def test_a_bundle_is_loaded_into_the_embedded_registry(origin: Origin, site: Site, python_base: dict[str, Any]) -> None:
    """Where nothing but an engine is, `registry.up` and `bundle.load` are enough: all verifies, and the engine pulls."""
    address = f"127.0.0.{2 + os.getpid() % 200}:{free_port()}"
    reuse_bases(site.clone.project, python_base)
    site.environment["UC_REGISTRY_ADDRESS"] = address
    image = f"{address}/{site.namespace}/one"
    try:
        ok(site.inv("registry.up"))
        ok(site.inv("bundle.load", str(origin.bundle)))

        assert ok(site.inv("verify", "0.1.0", "--json")).result["verified"] is True
        digest = _digests(origin.bundle)["one"]
        docker.cli("pull", f"{image}@{digest}")
        assert docker.cli("image", "inspect", "--format", "{{.Id}}", f"{image}@{digest}").stdout.strip() == digest
    finally:
        clean(site.clone.project.load().project.name, address)


def test_skopeo_copies_an_image_out_of_a_bundle(origin: Origin, tmp_path: Path) -> None:
    """As VERIFY.md says, skopeo takes an image from the unpacked bundle; from the file itself too. Its digest is kept."""
    subprocess.run(["tar", "--extract", "--file", str(origin.bundle), "--directory", str(tmp_path)], check=True)
    assert "skopeo copy --all oci:FOLDER:NAME-VERSION TO" in (tmp_path / "VERIFY.md").read_text()
    expected = _digests(origin.bundle)
    skopeo = debian.program("skopeo", "skopeo", "usr/bin/skopeo")
    for source in (f"oci:{tmp_path}", f"oci-archive:{origin.bundle}"):
        copy = tmp_path / f"by {source.partition(':')[0]}" / "one"
        copy.parent.mkdir()
        argv = [skopeo.path, "--insecure-policy", "copy", "--all", f"{source}:one-0.1.0", f"dir:{copy}"]
        subprocess.run(argv, env=skopeo.environment, check=True, capture_output=True)

        digest = hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest()

        assert f"sha256:{digest}" == expected["one"]


def test_a_version_that_is_there_is_not_replaced(origin: Origin, site: Site) -> None:
    """Where the registry has another release of that version, the load stops, and names the tag."""
    content = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    repository = f"{site.namespace}/one"
    assert site.hub.put(repository, "0.1.0", content, "application/vnd.oci.image.index.v1+json") == 201

    ran = site.inv("bundle.load", str(origin.bundle))

    assert ran.code == 15, ran.text
    assert f"{repository}:0.1.0 is there with another digest" in ran.stderr
    assert site.hub.digest(f"{site.namespace}/release", "0.1.0") == ""


def test_a_file_or_folder_that_is_not_there_is_named(site: Site, tmp_path: Path) -> None:
    """A mistyped path is a mistake of the command line, and nothing is written or read."""
    missing = tmp_path / "missing" / "b.tar"
    for arguments in (("bundle.load", str(missing)), ("bundle.verify", str(missing))):
        ran = site.inv(*arguments)
        assert (ran.code, f"no such file: {missing}" in ran.stderr) == (1, True), ran.text
    ran = site.inv("bundle.write", "0.1.0", "--out", str(missing))
    assert (ran.code, f"no such folder: {missing.parent}" in ran.stderr) == (1, True), ran.text


def _digests(bundle: Path) -> dict[str, str]:
    """The digest of each image of 0.1.0, and of its record, by repository."""
    contents = json.loads(read_entries(bundle)["bundle.json"])
    return {put["repository"]: put["digest"] for put in contents["put"] if put["tag"] == "0.1.0"}
