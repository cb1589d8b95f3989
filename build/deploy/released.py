"""The images of a released set: read from its record, never from an image's tag."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from build import console
from build.config.manifest import Manifest
from build.errors import ReleaseRefused
from build.git.versions import Line, lines
from build.images.data_formats import DataFormat
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release import carried, verification
from build.release.names import release_repository, service_repository
from build.release.record import Record, encode
from build.release.stored import fetch, load, yank_reason


@dataclass(frozen=True, slots=True)
class Released:
    """An image of a release: name@digest, the version of its line, and the formats of its volumes' data."""

    reference: str
    version: str
    data: dict[str, DataFormat] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleasedSet:
    """The images of a release by service, and the digest of the record of each line."""

    images: dict[str, Released] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)


def images(manifest: Manifest, release: str, services: Sequence[str]) -> dict[str, Released]:
    """The images of a complete release, by service. Raises as `read` does."""
    return read(manifest, release, services).images


def read(manifest: Manifest, release: str, services: Sequence[str], *, verify: bool = False) -> ReleasedSet:
    """A complete release, of the lines that have these services.

    `release` is a version, or a float such as 1.4. With `verify`, the record is that of the git tag, where there is
    one, and the registry has every image that it names.

    Raises ReleaseRefused when there is none, it was withdrawn, or this registry lacks its images; VerificationFailed
    where [signing] has a public key, and a signature is missing or wrong; NoRecord when something else has its name;
    ImageGone for an image that the registry has lost.
    """
    result = ReleasedSet()
    with RegistryClient(manifest) as registry:
        for line in lines(manifest):
            if not set(line.services) & set(services):
                continue
            record = _record(manifest, registry, line, release)
            verification.require(manifest, registry, line, record)
            if verify:
                _verify(manifest, registry, line, record)
            result.records[line.name] = hashlib.sha256(encode(record)).hexdigest()
            for name, image in record.services.items():
                reference = f"{manifest.image(name)}@{image.digest}"
                result.images[name] = Released(reference, str(record.version), image.data)
    return result


def require_available(manifest: Manifest, versions: dict[str, str]) -> None:
    """Raise ReleaseRefused for a release, by the version of each service, that was withdrawn since."""
    with RegistryClient(manifest) as registry:
        for line in lines(manifest):
            for version in {versions[service] for service in line.services if service in versions}:
                _require_not_withdrawn(registry, release_repository(manifest, line.name), line.name, version)


def _record(manifest: Manifest, registry: RegistryClient, line: Line, release: str) -> Record:
    target = release_repository(manifest, line.name)
    record = fetch(registry, target, release.removeprefix(line.prefix))
    if record is None:
        message = f"{line.name} has no complete release {release}"
        raise ReleaseRefused(message, hint="./inv releases; an interrupted one: ./inv release --resume")
    if record.registry != manifest.home:
        _require_images(manifest, registry, record)
    _require_not_withdrawn(registry, target, line.name, record.version)
    return record


def _require_images(manifest: Manifest, registry: RegistryClient, record: Record) -> None:
    """Raise ReleaseRefused if this registry lacks an image of a release that was made in another one."""
    missing = [
        name
        for name, image in record.services.items()
        if registry.digest(service_repository(manifest, name), image.digest) is None
    ]
    if missing:
        message = f"{record.line} {record.version} was made in {record.registry}, and {manifest.home} lacks its images"
        hint = "./inv bundle.load FILE brings them; or set UC_REGISTRY_ADDRESS to where it was made"
        raise ReleaseRefused(f"{message}: {', '.join(missing)}", hint=hint)


def _require_not_withdrawn(registry: RegistryClient, repository: str, line: str, version: str) -> None:
    if (reason := yank_reason(registry, repository, version)) is not None:
        message = f"{line} {version} was withdrawn: {reason}"
        raise ReleaseRefused(message, hint="./inv releases shows what is left")


def _verify(manifest: Manifest, registry: RegistryClient, line: Line, record: Record) -> None:
    """Raise ReleaseRefused or ImageGone if the record is not that of the tag, or names what is not there."""
    tagged = carried.fetched(manifest, line, record.tag)
    if tagged is None and (manifest.signing.public_key or manifest.signing.identity):
        console.note(f"{record.tag} is verified by its signatures: its git tag is not here")
    elif tagged is None:
        remote = manifest.release.remote
        console.warn(
            f"not verified: the git tag {record.tag} is not here{f' or on {remote}' if remote else ''}, so only the "
            f"registry says what {record.version} is; git fetch URL tag {record.tag}   brings it from where it was made"
        )
    elif tagged.record != record:
        message = f"the registry's record of {record.line} {record.version} is not that of the git tag {record.tag}"
        raise ReleaseRefused(message, hint="git fetch --tags --force; if it stays so, somebody changed the registry")
    at_once(
        lambda service: load(registry, service_repository(manifest, service), record.services[service].digest),
        record.services,
    )
