"""An image as a tree: an index names manifests, a manifest its configuration and layers (OCI image specification)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NotRequired, TypedDict, TypeVar  # noqa: TID251  (pydantic never reads these, and typing_extensions is slow)

T = TypeVar("T")


class Platform(TypedDict, total=False):
    """What an image runs on."""

    os: str
    architecture: str
    variant: str


class Descriptor(TypedDict):
    """How one piece of content names another (OCI image specification, descriptor.md)."""

    mediaType: str
    digest: str
    size: int
    annotations: NotRequired[dict[str, str]]
    platform: NotRequired[Platform]


class ManifestBody(TypedDict, total=False):
    """An index (with `manifests`) or the manifest of an image (with `config` and `layers`)."""

    manifests: list[Descriptor]
    config: Descriptor
    layers: list[Descriptor]


def walk(top: T, body: Callable[[T], ManifestBody], read: Callable[[Descriptor], T | None]) -> Iterator[T]:
    """Yield all manifests below `top`, and then itself: no registry takes an index before what it names.

    `body` is what a manifest says, `read` fetches one that an index names; where it returns None, nothing is yielded.
    """
    for child in body(top).get("manifests", []):
        below = read(child)
        if below is not None:
            yield from walk(below, body, read)
    yield top


def parts(body: ManifestBody) -> list[Descriptor]:
    """The configuration and the layers that a manifest names; none of an index."""
    return [body["config"], *body["layers"]] if "config" in body else []
