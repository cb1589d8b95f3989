"""The images of a release for the scan: those that its record names, in the registry, against today's database."""

from __future__ import annotations

from collections.abc import Sequence

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy import released
from build.git.versions import lines
from build.images.image import Image
from build.registry.credentials import login
from build.release import catalog

NEWEST = "newest"


def images(manifest: Manifest, services: Sequence[str], *, release: str) -> dict[str, Image]:
    """The images of a release by service: of a version, of a float such as 1.4, or of the newest of each line.

    Without a release yet, nothing is the newest, and there are none. Raises ReleaseRefused for a release that does not
    exist or was withdrawn, RegistryError, and ToolFailed when the engine can't log in.
    """
    login(manifest)  # Trivy reads the images with Docker's logins
    names = chosen(manifest, services)
    found: dict[str, Image] = {}
    for version, of_line in _versions(manifest, names, release).items():
        console.note(f"the images of release {version}: {', '.join(of_line)}")
        for name, image in released.images(manifest, version, of_line).items():
            if name in of_line:
                found[name] = _image(name, image)
    return found


def _versions(manifest: Manifest, names: Sequence[str], release: str) -> dict[str, list[str]]:
    """The services to scan by their release."""
    if release != NEWEST:
        return {release: list(names)}
    newest = catalog.newest_versions(manifest)
    if not newest:
        console.note("no release yet: nothing to scan")
    versions: dict[str, list[str]] = {}
    for line in lines(manifest):
        if wanted := [name for name in names if name in line.services and line.name in newest]:
            versions.setdefault(f"{line.prefix}{newest[line.name]}", []).extend(wanted)
    return versions


def _image(service: str, image: released.Released) -> Image:
    name, _, digest = image.reference.partition("@")
    return Image(
        service=service, name=name, tag=image.version, digest=digest, fingerprint="", size=None, pushed=True
    )  # fmt: skip
