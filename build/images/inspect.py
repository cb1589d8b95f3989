"""What the engine says of the images that it has, by `docker image inspect`.

The docker CLI is used because a build with nothing to do takes this path: importing python-on-whales would double it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from build.engine import client as engine
from build.errors import ToolFailed
from build.images.references import tagged
from build.parallel import together

_FEW = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineImage:
    """An image in the engine: its digest, its size in bytes, its names with a tag, its names with a digest.

    `created` is RFC 3339, or "" where the image does not say.
    """

    digest: str
    size: int
    tags: tuple[str, ...]
    references: tuple[str, ...]
    created: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def inspect(names: Iterable[str]) -> list[EngineImage]:
    """The images of these names that the engine has; the engine is not called without names.

    The docker CLI asks for one image after another, so many are asked for by two of it.
    Raises MissingTool when the daemon does not answer.
    """
    wanted = sorted(set(names))
    parts = [wanted[::2], wanted[1::2]] if len(wanted) > _FEW else [wanted] if wanted else []
    return [image for found in together([functools.partial(_inspect, part) for part in parts]) for image in found]


def _inspect(wanted: Sequence[str]) -> list[EngineImage]:
    try:
        output = engine.cli("image", "inspect", *wanted).stdout
    except ToolFailed as error:
        if "No such image" not in error.output:
            raise
        output = error.output[: error.output.rindex("]") + 1]  # those that are there come first, on stdout
    return [
        EngineImage(
            digest=entry["Id"],
            size=int(entry["Size"]),
            tags=tuple(entry["RepoTags"] or ()),
            references=tuple(entry["RepoDigests"] or ()),
            created=str(entry.get("Created") or ""),
            labels=(entry.get("Config") or {}).get("Labels") or {},
        )
        for entry in json.loads(output)
    ]


def sizes(images: Iterable[EngineImage]) -> dict[str, int]:
    """The size in bytes of each name@digest of these images."""
    return {reference: image.size for image in images for reference in image.references}


def digests(images: Iterable[EngineImage], names: Iterable[str]) -> dict[str, str]:
    """The digest of each NAME or NAME:TAG that one of these images has."""
    by_tag = {tag: image.digest for image in images for tag in image.tags}
    return {name: by_tag[tagged(name)] for name in names if tagged(name) in by_tag}
