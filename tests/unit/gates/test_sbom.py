"""The bill of materials by rule alone: lasting references, and what a lock says of vendored packages."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from build.errors import ManifestError
from build.gates.scan import sbom, vendored
from build.images.image import Image

IMAGE = Image(
    service="web", name="r.example/n/web", tag="1", digest="sha256:" + "a" * 64, fingerprint="", size=0, pushed=True
)


def written(*, order: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    """What Trivy writes of an image with two locks that name one package each, the same one."""
    root, first, second, one, two = (str(uuid.uuid4()) for _ in range(5))
    components = [
        {"bom-ref": first, "type": "application", "name": "a/package-lock.json"},
        {"bom-ref": second, "type": "application", "name": "b/package-lock.json"},
        {"bom-ref": one, "type": "library", "name": "left", "purl": "pkg:npm/left@1"},
        {"bom-ref": two, "type": "library", "name": "left", "purl": "pkg:npm/left@1"},
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": "2026-11-30T00:00:00+00:00",
            "tools": {"components": [{"name": "trivy"}]},
            "component": {"bom-ref": root, "type": "container", "name": "x", "purl": "pkg:oci/web@x?arch=amd64&a=b"},
        },
        "components": [components[index] for index in order] + components[3:],
        "dependencies": [
            {"ref": root, "dependsOn": [first, second]},
            {"ref": first, "dependsOn": [one]},
            {"ref": second, "dependsOn": [two]},
            {"ref": one, "dependsOn": []},
            {"ref": two},
        ],
        "vulnerabilities": [],
    }


def test_fresh_references_become_lasting_ones() -> None:
    """The same content gives the same document, in whatever order and under whatever references Trivy writes it."""
    documents = [
        sbom.document(written(order=order), IMAGE, "2026-01-01T00:00:00Z", ())
        for order in itertools.permutations((0, 1, 2))
    ]

    assert len({json.dumps(document) for document in documents}) == 1
    assert len({part["bom-ref"] for part in documents[0]["components"]}) == 4


def test_every_link_leads_to_a_component() -> None:
    """Each library hangs on the lock that it hung on."""
    document = sbom.document(written(), IMAGE, "", ())
    names = {part["bom-ref"]: part["name"] for part in document["components"]}
    links = {link["ref"]: link["dependsOn"] for link in document["dependencies"]}

    assert set(links) == {*names, document["metadata"]["component"]["bom-ref"]}
    locks = [reference for reference, name in names.items() if name.endswith(".json")]
    assert [[names[other] for other in links[reference]] for reference in locks] == [["left"], ["left"]]
    assert links[locks[0]] != links[locks[1]]


def test_a_copy_in_another_registry_has_the_same_bill() -> None:
    """Neither the registry's address, nor a tag, nor how it has compressed a layer, is in the document."""
    bills = []
    for address, layer in (("r.example", "sha256:1"), ("127.0.0.1:5000", "sha256:2")):
        document = written()
        properties = [("DiffID", "sha256:d"), ("RepoTag", f"{address}/n/web:1"), ("Reference", address)]
        document["metadata"]["component"] |= {
            "name": f"{address}/n/web@{IMAGE.digest}",
            "properties": [{"name": f"aquasecurity:trivy:{name}", "value": value} for name, value in properties],
        }
        document["components"][2]["properties"] = [{"name": "aquasecurity:trivy:LayerDigest", "value": layer}]
        bills.append(sbom.document(document, replace(IMAGE, name=f"{address}/n/web"), "", ()))

    assert bills[0] == bills[1]
    assert "sha256:d" in json.dumps(bills[0])


@pytest.mark.parametrize("created", ["", "0001-01-01T00:00:00Z"])
def test_an_image_without_a_time_has_none_in_its_bill(created: str) -> None:
    """The time is the image's own or none, never that of the scan."""
    assert "timestamp" not in sbom.document(written(), IMAGE, created, ())["metadata"]


def test_another_content_has_another_serial_number() -> None:
    """Two documents with one serial number are one document."""
    lock = vendored.Vendored(name="@a/b", version="1.0.0", lock="l")
    numbers = [sbom.document(written(), IMAGE, "", packages)["serialNumber"] for packages in ((), (lock,))]

    assert len(set(numbers)) == 2


def test_findings_are_left_out() -> None:
    """Only packages of a report go into the bill, and nothing that a database or a scanner has said of them."""
    report = {
        "Metadata": {},
        "Results": [
            {"Target": "a", "Type": "npm", "Packages": [{"Name": "a"}], "Vulnerabilities": [{}], "Misconfigurations": []},
            {"Target": "b", "Secrets": [{}]},
        ],
    }  # fmt: skip

    assert sbom.bare(report)["Results"] == [{"Target": "a", "Type": "npm", "Packages": [{"Name": "a"}]}]


def test_a_scoped_package_has_its_purl() -> None:
    """The @ of a scope is encoded, its / is not."""
    text = json.dumps({"packages": {"": {"dependencies": {"@a/b": "1"}}, "node_modules/@a/b": {"version": "1.0.0+x"}}})

    assert [package.purl for package in vendored.parse(text, "l")] == ["pkg:npm/%40a/b@1.0.0%2Bx"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"packages": []}',
        '{"packages": {"": {}}}',
        '{"packages": {"": {"dependencies": {"a": "1"}}}}',
        '{"packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {}}}',
        '{"packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"version": 1}}}',
        '{"packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"version": "1", "integrity": "md5-AA=="}}}',
        '{"packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"version": "1", "integrity": "sha256-!"}}}',
    ],
)
def test_what_is_no_lock_is_refused_by_name(text: str) -> None:
    """A file without the packages that it should pin is named."""
    with pytest.raises(ManifestError, match=r"docker/x/package-lock\.json: not a lock"):
        vendored.parse(text, "docker/x/package-lock.json")
