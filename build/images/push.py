"""Pushing images from the engine: by digest, and only what the registry lacks."""

from __future__ import annotations

from dataclasses import replace

from build.config.manifest import Manifest
from build.engine import client as engine
from build.errors import RegistryError, ToolFailed
from build.images.image import Image
from build.registry.client import RegistryClient, ping


def has(manifest: Manifest, image: Image) -> bool:
    """Whether the registry has exactly this digest. Raises RegistryError when it does not answer."""
    with RegistryClient(manifest) as registry:
        return registry.digest(image.repository, image.digest) is not None


def push(manifest: Manifest, image: Image) -> Image:
    """The image as pushed; nothing is sent when the registry has its digest already.

    Raises RegistryError when the registry refuses the push, or has another digest afterwards.
    """
    if not has(manifest, image):
        try:
            engine.cli("tag", image.reference, f"{image.name}:{image.tag}")  # another checkout may have moved it
            with engine.failures():
                engine.client().image.push(f"{image.name}:{image.tag}", quiet=True)
        except ToolFailed as error:
            ping(manifest)  # a registry that is gone by now has an error of its own
            raise RegistryError(f"push of {image.name} refused", output=error.output, hint="./inv doctor") from None
        if not has(manifest, image):
            raise RegistryError(
                f"{image.name}:{image.tag} was pushed, but not as {image.digest}", hint="./inv build --no-cache"
            )
    return replace(image, pushed=True)
