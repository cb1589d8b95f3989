"""What is brought to run with Compose on this machine: the images of the last build, or a released set."""

from __future__ import annotations

from collections.abc import Sequence

from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy import released
from build.images import store
from build.registry.credentials import login
from build.stack import run
from build.stack.status import Running


def runnable(
    manifest: Manifest, services: Sequence[str] = (), *, release: str = ""
) -> tuple[dict[str, str], list[str]]:
    """The images that may run (service → name@digest) and the services to start: of the last build, or of a release.

    Raises Incomplete before the first build, ReleaseRefused for a release that does not exist or was withdrawn.
    """
    if release:
        images = released.references(manifest, release, chosen(manifest, services))
        return images, [name for name in chosen(manifest, services) if name in images]
    present = store.present_images(manifest, services)
    return {name: image.reference for name, image in store.recorded(manifest).items()}, list(present)


def start(
    manifest: Manifest,
    services: Sequence[str] = (),
    *,
    release: str = "",
    fluentd: bool = False,
    take_over: bool = False,
) -> list[Running]:
    """Start `services` (default: all that have an image) and what they depend on; wait until all are healthy.

    Raises what `runnable` and `stack.run.up` raise, and RegistryError when the engine can't log in.
    """
    if release:
        login(manifest)
    images, wanted = runnable(manifest, services, release=release)
    return run.up(manifest, images, wanted, fluentd=fluentd, take_over=take_over)
