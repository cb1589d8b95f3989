"""Joins the single-purpose modules into what a task does."""

from __future__ import annotations

from collections.abc import Sequence

from build.config.manifest import Manifest
from build.config.select import chosen
from build.images import store
from build.images.store import present_images
from build.registry.credentials import login
from build.stack import run


def runnable(
    manifest: Manifest, services: Sequence[str] = (), *, release: str = ""
) -> tuple[dict[str, str], list[str]]:
    """What may run (service → name@digest), and which of it is wanted: what was built here, or a released set.

    Raises Incomplete when nothing is there yet, ReleaseRefused for a release that is not there or was withdrawn.
    """
    if release:
        from build.release import catalog

        found = catalog.references(manifest, release, chosen(manifest, services))
        return found, [name for name in chosen(manifest, services) if name in found]
    wanted = present_images(manifest, services)
    return {name: image.reference for name, image in store.recorded(manifest).items()}, list(wanted)


def start(
    manifest: Manifest, services: Sequence[str] = (), *, release: str = "", fluentd: bool = False
) -> list[run.Running]:
    """Bring up the services named (default: all that have an image), and what they depend on; wait for health."""
    if release:
        login(manifest)
    found, wanted = runnable(manifest, services, release=release)
    return run.up(manifest, found, wanted, fluentd=fluentd)
