"""The bill of materials that the real Trivy and this toolkit write: the same bytes for the same digest."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from build.config.manifest import Manifest
from build.engine import client as docker
from build.images.image import Image
from tests.docker.scan.conftest import DEBIAN, METADATA, Build, gate, report

TWICE = {f"{folder}/Jinja2-2.10.dist-info/METADATA": METADATA.format("Jinja2", "2.10") for folder in ("srv/a", "srv/b")}
LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"mermaid": "11.17.2"}},
        "node_modules/mermaid": {"version": "11.17.2", "license": "MIT", "integrity": "sha256-3q2+7w=="},
        "node_modules/d3": {"version": "7.9.0"},
    },
}


@pytest.fixture(scope="module")
def packed(build: Build) -> Image:
    """An image with a distribution, and one package in two places: Trivy has no name of its own for any of these."""
    return build("packed", DEBIAN | TWICE)


def bill(manifest: Manifest, image: Image) -> bytes:
    """The bytes of the document after a scan that remembers nothing of an earlier one."""
    shutil.rmtree(manifest.workspace.trivy / "fanal", ignore_errors=True)
    (verdict,) = gate(manifest, image)
    return verdict.reports["cdx.json"].read_bytes()


def test_two_scans_write_the_same_bytes(manifest: Manifest, packed: Image) -> None:
    """Two scans of one digest write the same document, of everything that is in the image."""
    first, second = bill(manifest, packed), bill(manifest, packed)

    assert first == second
    names = [(part["type"], part["name"]) for part in json.loads(first)["components"]]
    assert sorted(names) == [("library", "Jinja2")] * 2 + [("library", "libssl3t64"), ("operating-system", "debian")]


def test_the_place_of_the_image_changes_nothing(manifest: Manifest, packed: Image) -> None:
    """The engine's image has the bill of the registry's."""
    docker.cli("pull", "--quiet", packed.reference)

    assert bill(manifest, packed) == bill(manifest, replace(packed, pushed=False))


def test_the_database_changes_nothing(manifest: Manifest, packed: Image) -> None:
    """A bill has no findings: it is the same with a database, and without one."""
    without = replace(manifest, gates=replace(manifest.gates, db_repository="none"), folder=".other")

    assert bill(manifest, packed) == bill(without, packed)


def test_what_is_vendored_is_in_the_bill(manifest: Manifest, build: Build) -> None:
    """What the lock's root depends on is a component, with its hash, and the image depends on it."""
    image = build("web", {"a": "a"})
    (manifest.root / "package-lock.json").write_text(json.dumps(LOCK))
    web = replace(next(iter(manifest.services.values())), vendored=("package-lock.json",))
    (verdict,) = gate(replace(manifest, services={"web": web}), image)

    document = report(verdict, "cdx.json")
    (mermaid,) = document["components"]
    assert (mermaid["purl"], mermaid["hashes"]) == (
        "pkg:npm/mermaid@11.17.2", [{"alg": "SHA-256", "content": "deadbeef"}]
    )  # fmt: skip
    root = document["metadata"]["component"]["bom-ref"]
    assert root == f"pkg:oci/web@{image.digest}?arch=amd64"
    assert {"ref": root, "dependsOn": [mermaid["purl"]]} in document["dependencies"]


def test_what_is_vendored_is_scanned(manifest: Manifest, build: Build) -> None:
    """A vulnerability of a package that Trivy can't see in the image refuses it, by the lock that pins it."""
    image = build("site", {"a": "a"})
    lock = {"packages": {"": {"dependencies": {"lodash": "4.17.4"}}, "node_modules/lodash": {"version": "4.17.4"}}}
    (manifest.root / "package-lock.json").write_text(json.dumps(lock))
    site = replace(next(iter(manifest.services.values())), vendored=("package-lock.json",))
    own = replace(manifest, services={"site": site})
    (verdict,) = gate(own, image, severity=("MEDIUM",))

    assert verdict.refused
    assert [finding.subject for finding in verdict.gated] == ["lodash 4.17.4"]
    assert "vendored: package-lock.json" in verdict.reports["txt"].read_text()
    assert report(verdict, "sarif")["runs"][0]["results"]
    bare = gate(own, image, db_repository="none")[0].reports["cdx.json"].read_bytes()
    assert gate(own, image)[0].reports["cdx.json"].read_bytes() == bare
