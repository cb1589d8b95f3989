"""The images of this checkout: what earlier builds recorded, and which of it the engine still has."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from build import json_file
from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import ToolFailed
from build.images.image import Image


def recorded(manifest: Manifest) -> dict[str, Image]:
    """The images of the last build, by service; empty before the first. A record of another format counts as none."""
    stored = json_file.read(manifest.workspace.images)
    keys = {field.name for field in dataclasses.fields(Image)}
    return {
        name: Image(**record) for name, record in stored.items() if name in manifest.services and record.keys() == keys
    }


def unchanged(manifest: Manifest, current: Mapping[str, str]) -> dict[str, Image]:
    """The recorded images whose fingerprint is that of now, and which the engine still has; one engine call.

    Provenance gives every rebuild another digest, equal content or not: what is unchanged is not built again.
    """
    candidates = {
        name: image for name, image in recorded(manifest).items()
        if image.fingerprint == current.get(name) and image.name == manifest.image(name)
    }  # fmt: skip
    there = inspect_all([image.reference for image in candidates.values()])
    return {name: image for name, image in candidates.items() if image.reference in there}


def record(manifest: Manifest, made: Mapping[str, Image]) -> None:
    """Add images to .uc/images.json, over those of the same services."""
    stored = {name: dataclasses.asdict(image) for name, image in (recorded(manifest) | dict(made)).items()}
    json_file.write(manifest.workspace.images, stored)


def inspect_all(references: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`docker image inspect` of all references in one call: reference → its object, absent when it is not there."""
    if not references:
        return {}
    try:
        output = docker.cli("image", "inspect", *references).stdout
    except ToolFailed as error:
        if "No such image" not in error.output:
            raise
        output = error.output[: error.output.rindex("]") + 1]
    found: dict[str, dict[str, Any]] = {}
    for entry in json.loads(output):
        for reference in entry["RepoDigests"]:
            found[reference] = entry
    return found
