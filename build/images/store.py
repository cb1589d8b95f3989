"""The images of this checkout: what earlier builds recorded, and which of them the engine still has."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from build import console, json_file
from build.config.manifest import Manifest
from build.config.select import chosen
from build.engine import client as engine
from build.errors import Incomplete
from build.images.image import Image
from build.images.inspect import EngineImage, inspect, sizes
from build.images.plan import BuildPlan
from build.parallel import together


def recorded(manifest: Manifest) -> dict[str, Image]:
    """The images of the last build, by service; empty before the first. A record of another format counts as none."""
    stored = json_file.read(manifest.workspace.images)
    keys = {field.name for field in dataclasses.fields(Image)}
    return {
        name: Image(**record) for name, record in stored.items() if name in manifest.services and record.keys() == keys
    }


def unchanged(manifest: Manifest, plan: BuildPlan, images: Iterable[EngineImage] | None = None) -> dict[str, Image]:
    """The recorded images that have the plan's fingerprint and that the engine still has.

    Provenance gives every rebuild another digest, equal content or not, so what is unchanged is not built again.
    `images` are what the engine has of the recorded ones; without, it is asked, and MissingTool raised when the daemon
    does not answer.
    """
    candidates = {
        name: image for name, image in recorded(manifest).items()
        if image.fingerprint == plan.fingerprints.get(name) and image.name == manifest.image(name)
    }  # fmt: skip
    present = sizes(inspect(image.reference for image in candidates.values()) if images is None else images)
    return {name: image for name, image in candidates.items() if image.reference in present}


def keep(manifest: Manifest, images: Mapping[str, Image]) -> None:
    """Give each image a name in the engine that is this checkout's alone: CHECKOUT's next build replaces it.

    Two checkouts of one commit build under one version, and the engine forgets the digest that lost its only tag.
    Raises ToolFailed when the engine no longer has an image.
    """
    tag = f"checkout-{hashlib.sha256(str(manifest.root.resolve()).encode()).hexdigest()[:12]}"
    together(
        [functools.partial(engine.cli, "tag", image.reference, f"{image.name}:{tag}") for image in images.values()]
    )


def record(manifest: Manifest, images: Mapping[str, Image]) -> None:
    """Write images to the record, over those of the same services."""
    stored = {name: dataclasses.asdict(image) for name, image in (recorded(manifest) | dict(images)).items()}
    json_file.write(manifest.workspace.images, stored)


def write_images_env(manifest: Manifest) -> None:
    """Write the recorded references as variables of docker/compose.yaml, for `docker compose --env-file`."""
    lines = [f"{name.upper().replace('-', '_')}_IMAGE={image.reference}" for name, image in recorded(manifest).items()]
    json_file.replace(manifest.workspace.images_env, "\n".join(lines) + "\n")
    manifest.workspace.release.mkdir(exist_ok=True)  # else the engine makes it, as root


def present_images(manifest: Manifest, services: Sequence[str] = ()) -> dict[str, Image]:
    """The recorded images of the services (default: all); warns of each that was not built yet.

    Raises Incomplete when none of them was.
    """
    names = chosen(manifest, services)
    images = {name: image for name, image in recorded(manifest).items() if name in names}
    if not images:
        raise Incomplete(f"no image yet of {', '.join(names)}", hint="./inv build")
    for name in names:
        if name not in images:
            console.warn(f"{name} has no image and is left out")
    return images
