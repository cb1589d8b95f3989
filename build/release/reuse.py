"""Which images may already exist for a service's current sources, so that a release need not build it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from build.git.versions import revision
from build.images.image import Image
from build.release.candidates import Staged
from build.release.record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """An image of a service with its current fingerprint: the digest, and where it comes from.

    With a `revision` it counts only if HEAD is that commit or descends from it: the image's labels name it.
    """

    service: str
    digest: str
    why: str
    revision: str = ""


def origins(
    service: str,
    fingerprint: str,
    *,
    previous: Record | None,
    staged: Staged | None,
    built: Image | None,
    image: str,
    tag_prefix: str,
) -> Iterator[Origin]:
    """The images with this fingerprint, best first: of the previous release, of an earlier run, of a pushed build.

    `built` is this checkout's last build; it counts if it was pushed as `image`, from a clean tree. `tag_prefix` is
    that of the line's git tags.
    """
    released = previous.services.get(service) if previous else None
    if previous and released and released.fingerprint == fingerprint:
        yield Origin(service=service, digest=released.digest, why=f"unchanged since {previous.version}")
    if staged and staged.fingerprint == fingerprint:
        yield Origin(service=service, digest=staged.digest, why="staged by an earlier try")
    if built and built.pushed and built.name == image and built.fingerprint == fingerprint:
        commit = revision(built.tag, tag_prefix)
        if commit:
            yield Origin(service=service, digest=built.digest, why=f"built as {built.tag}", revision=commit)
