"""What is brought to run with Compose on this machine: the images of the last build, or a released set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy import released
from build.images import store
from build.registry.credentials import login
from build.stack import run
from build.stack.status import Running


@dataclass(frozen=True, slots=True)
class Runnable:
    """What may run: `images` (service → name@digest), the services to start, and the versions of released images."""

    images: Mapping[str, str]
    services: Sequence[str]
    versions: Mapping[str, str] = field(default_factory=dict)


def runnable(manifest: Manifest, services: Sequence[str] = (), *, release: str = "") -> Runnable:
    """The images of the last build, or those of a release.

    Raises Incomplete before the first build, ReleaseRefused for a release that does not exist or was withdrawn.
    """
    if release:
        found = released.images(manifest, release, chosen(manifest, services))
        return Runnable(
            {name: image.reference for name, image in found.items()},
            [name for name in chosen(manifest, services) if name in found],
            {name: image.version for name, image in found.items()},
        )
    present = store.present_images(manifest, services)
    return Runnable({name: image.reference for name, image in store.recorded(manifest).items()}, list(present))


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
    what = runnable(manifest, services, release=release)
    return run.up(manifest, what.images, what.services, versions=what.versions, fluentd=fluentd, take_over=take_over)
