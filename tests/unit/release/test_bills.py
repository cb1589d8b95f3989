"""One bill of materials of several: every image is a part, and every reference leads where it led before."""

from __future__ import annotations

from typing import Any

from build.release.bills import merged


def _bill(name: str) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"component": {"bom-ref": "image", "type": "container", "name": f"registry/{name}"}},
        "components": [{"bom-ref": "library", "type": "library", "name": "shared", "version": "1.0"}],
        "dependencies": [{"ref": "image", "dependsOn": ["library"]}, {"ref": "library", "dependsOn": []}],
    }


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [reference for item in value for reference in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["bom-ref"]] if "bom-ref" in value else []
    return own + [reference for item in value.values() for reference in _references(item)]


def test_references_are_unique_and_lead_somewhere() -> None:
    """Two images with the same library keep apart, and each dependency names a component of the document."""
    document = merged({"one": _bill("one"), "two": _bill("two")}, "project", "1.4.0")

    references = _references(document)
    assert len(references) == len(set(references)) == 5
    named = {each["ref"] for each in document["dependencies"]}
    named |= {reference for each in document["dependencies"] for reference in each["dependsOn"]}
    assert named == set(references)
    assert [component["name"] for component in document["components"]] == ["one", "two"]
    assert document["dependencies"][0] == {"ref": "project@1.4.0", "dependsOn": ["one/image", "two/image"]}


def test_a_merged_bill_leaves_its_parts_as_they_are() -> None:
    """What was merged can be used again: nothing in it was changed."""
    bills = {"one": _bill("one"), "two": _bill("two")}

    merged(bills, "project", "1.4.0")

    assert bills == {"one": _bill("one"), "two": _bill("two")}
