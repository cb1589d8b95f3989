"""Makes what builds and tests stand on ready: base images and the embedded registry."""

from __future__ import annotations

from build import console
from build.config.manifest import Manifest
from build.images import bases
from build.registry import embedded
from build.registry.client import answers


def base_images(manifest: Manifest) -> None:
    """Resolve every base image and print its source; warn about a base that no source has."""
    resolved, reasons = bases.resolve(manifest, manifest.bases.images)
    for base in resolved.values():
        console.note(f"{base.reference}: {base.source}")
    for key, reason in reasons.items():
        console.warn(f"{manifest.bases.images[key].reference} is not available: {reason}")


def registry(manifest: Manifest, *, dry_run: bool = False) -> None:
    """Start the embedded registry unless it is running, and print what was done.

    Raises RegistryError if it does not come up, and what the engine raises.
    """
    data = {"address": manifest.registry.address, "container": embedded.container(manifest)}
    if dry_run:
        console.outcome(
            f"serve {manifest.registry.address} from container {embedded.container(manifest)}", data, planned=True
        )
        return
    image, reason = "", ""
    if not answers(manifest):
        resolved, reasons = bases.resolve(manifest, ["registry"])
        image = resolved["registry"].image if "registry" in resolved else ""
        reason = reasons.get("registry", "")
    console.outcome(f"registry {manifest.registry.address}: {embedded.up(manifest, image, reason)}", data)
