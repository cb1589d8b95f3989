"""The images of a released set: read from its record, never from an image's tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from build.config.manifest import Manifest
from build.errors import ReleaseRefused
from build.git.versions import Line, lines
from build.registry.client import RegistryClient
from build.release.names import release_repository
from build.release.record import Record
from build.release.stored import fetch, yank_reason


@dataclass(frozen=True, slots=True)
class Released:
    """An image of a release: name@digest, and the version of its line."""

    reference: str
    version: str


def images(manifest: Manifest, release: str, services: Sequence[str]) -> dict[str, Released]:
    """The images of a complete release, by service.

    `release` is a version, or a float such as 1.4.

    Raises ReleaseRefused when there is none, it was withdrawn, or it was made in another registry; NoRecord when
    something else has its name.
    """
    found: dict[str, Released] = {}
    with RegistryClient(manifest) as registry:
        for line in lines(manifest):
            if set(line.services) & set(services):
                record = _record(manifest, registry, line, release)
                for name, image in record.services.items():
                    found[name] = Released(f"{record.registry}/{name}@{image.digest}", str(record.version))
    return found


def _record(manifest: Manifest, registry: RegistryClient, line: Line, release: str) -> Record:
    target = release_repository(manifest, line.name)
    record = fetch(registry, target, release.removeprefix(line.prefix))
    if record is None:
        message = f"{line.name} has no complete release {release}"
        raise ReleaseRefused(message, hint="./inv releases; an interrupted one: ./inv release --resume")
    if record.registry != manifest.home:
        message = f"{line.name} {record.version} was made in {record.registry}, and this is {manifest.home}"
        raise ReleaseRefused(message, hint="set UC_REGISTRY_ADDRESS and UC_REGISTRY_NAMESPACE to where it was made")
    if (reason := yank_reason(registry, target, record.version)) is not None:
        message = f"{line.name} {record.version} was withdrawn: {reason}"
        raise ReleaseRefused(message, hint="./inv releases shows what is left")
    return record
