"""Reads two releases for their difference: records, images and bills from the registry, commits from this clone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import ReleaseRefused
from build.git import between
from build.git.versions import Line, lines
from build.images import settings
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.tree import ManifestBody
from build.release import bills
from build.release.candidates import images_of, platform_name
from build.release.difference import ReadImage, ReleaseDifference, Side, compare
from build.release.names import release_repository, service_repository
from build.release.record import Record
from build.release.stored import ImageGone, fetch, load, yank_reason

Pair = tuple[Record, Record]


def read(manifest: Manifest, before: str, after: str, services: Sequence[str] = ()) -> list[ReleaseDifference]:
    """What differs between two releases, on each line that has both and one of the services (all, without names).

    The versions may be floats such as 1.4. What an image or a bill of materials would say is left out, with a note,
    where there is none. Raises ReleaseRefused if no line has both, ManifestError for a service that neither has,
    RegistryError if the registry does not answer.
    """
    with RegistryClient(manifest) as registry:
        differences = []
        for line, pair in _pairs(manifest, registry, before, after, services):
            repository = release_repository(manifest, line.name)
            for record in pair:
                if (reason := yank_reason(registry, repository, record.version)) is not None:
                    console.warn(f"{line.name} {record.version} was withdrawn: {reason}")
            sides = [_side(manifest, registry, record, services) for record in pair]
            commits = between.read(manifest.root, pair[0].commit, pair[1].commit, line.paths, manifest.release)
            differences.append(compare(sides[0], sides[1], commits, services))
    return differences


def _pairs(
    manifest: Manifest, registry: RegistryClient, before: str, after: str, services: Sequence[str]
) -> list[tuple[Line, Pair]]:
    lockstep = manifest.release.mode == "lockstep"
    named = [] if lockstep else chosen(manifest, services)
    asked = [line for line in lines(manifest) if lockstep or line.name in named]
    stored = [
        tuple(
            fetch(registry, release_repository(manifest, line.name), version.removeprefix(line.prefix))
            for version in (before, after)
        )
        for line in asked
    ]
    pairs = [(line, (old, new)) for line, (old, new) in zip(asked, stored, strict=True) if old and new]
    if not pairs:
        raise ReleaseRefused(_missing(before, after, asked, stored), hint="./inv releases")
    known = {name for _, pair in pairs for record in pair for name in record.services}
    if absent := [name for name in services if name not in known]:
        chosen(manifest, absent)
        raise ReleaseRefused(f"neither {before} nor {after} has {', '.join(absent)}", hint="./inv releases")
    return pairs


def _missing(before: str, after: str, asked: Sequence[Line], stored: Sequence[Sequence[Record | None]]) -> str:
    """Which of the two releases there is not; of several lines, what each has."""
    has = [[version for version, record in zip((before, after), records, strict=True) if record] for records in stored]
    if len(asked) == 1:
        lacking = [version for version in dict.fromkeys((before, after)) if version not in has[0]]
        return f"there is no release {' and no release '.join(lacking)}"
    each = [f"{line.name} has {' and '.join(of_line) or 'neither'}" for line, of_line in zip(asked, has, strict=True)]
    return f"no line has both {before} and {after}: {', '.join(each)}"


def _side(manifest: Manifest, registry: RegistryClient, record: Record, services: Sequence[str]) -> Side:
    names = [name for name in record.services if name in services or not services]
    images: dict[str, dict[str, ReadImage]] = {}
    documents: dict[str, Any] = {}
    lost: dict[str, str] = {}
    unbilled: dict[str, str] = {}

    def read_one(name: str) -> None:
        try:
            images[name] = _images(registry, service_repository(manifest, name), record.services[name].digest)
        except ImageGone:
            lost[name] = f"the registry has lost the image of {record.version}: its size and settings are not known"
        try:
            documents[name] = bills.bill(manifest, registry, record, name)
        except (ReleaseRefused, ImageGone) as error:
            unbilled[name] = f"packages and licences are not compared: {error}"

    at_once(read_one, names)
    return Side(record=record, images=images, bills=documents, lost=lost, unbilled=unbilled)


def _images(registry: RegistryClient, repository: str, digest: str) -> dict[str, ReadImage]:
    """What the registry has of an image, by platform. Raises ImageGone for one that it lacks, or lacks a part of."""
    body: ManifestBody = json.loads(load(registry, repository, digest).content)
    if "config" in body:
        image, platform = _image(registry, repository, body)
        return {platform: image}
    images = {}
    for child in images_of(body):
        image, own = _image(registry, repository, json.loads(load(registry, repository, child["digest"]).content))
        images[platform_name(child.get("platform", {})) or own] = image
    return images


def _image(registry: RegistryClient, repository: str, body: ManifestBody) -> tuple[ReadImage, str]:
    """What a manifest of one platform says, and the platform in its configuration."""
    content = registry.blob(repository, body["config"]["digest"])
    if content is None:
        raise ImageGone(f"the registry has no {repository}@{body['config']['digest']}")
    config = json.loads(content)
    parts = {part["digest"]: part["size"] for part in (body["config"], *body["layers"])}
    image = ReadImage(
        size=sum(parts.values()), settings=settings.of_config(config), data=settings.data_of_config(config)
    )
    return image, platform_name(config)
