"""Images, bases and containers: a table for people, or one JSON document for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from build import console
from build.columns import Column
from build.config.manifest import Manifest
from build.images.image import Image, short
from build.stack.status import Running

if TYPE_CHECKING:  # `ps` needs neither, and they import all that builds
    from build.images.bases import Resolved
    from build.images.build import Built


def megabytes(size: int | None) -> str:
    """A size in bytes as whole megabytes (10^6); "" if it is not known."""
    return "" if size is None else f"{size / 1e6:.0f} MB"


def built(outcome: Built, *, json: bool = False) -> None:
    """Print a row for each service that was to be built, with the reason where it has no image."""
    if json:
        console.result(outcome)
        return
    rows = []
    for name, image in outcome.images.items():
        origin = "unchanged" if name in outcome.reused else "built"
        tagged = f"{image.name}:{image.tag}"
        size, digest = megabytes(image.size), short(image.digest)
        rows.append((console.mark("ok"), name, tagged, size, digest, origin, _sources(image)))
    for name, reason in outcome.missing.items():
        rows.append((console.mark("fail"), name, "", "", "", "not built", reason))
    reference, base = Column("image", yields=3), Column("base", yields=1, prose=True)
    console.table(("", "service", reference, "size", Column("digest", yields=2), "", base), rows)


def _sources(image: Image) -> str:
    return ", ".join(f"{key}: {source}" for key, source in image.bases.items())


def bases(resolved: Mapping[str, Resolved], reasons: Mapping[str, str], *, json: bool = False) -> None:
    """Print the source of each base image, or the reason why no source has it."""
    if json:
        console.result({"bases": resolved, "unavailable": reasons})
        return
    rows = [
        (
            console.mark("ok"),
            base.reference,
            base.source,
            base.context.removeprefix("docker-image://"),
            short(base.digest),
        )
        for base in resolved.values()
    ]
    rows += [(console.mark("fail"), key, "unavailable", reason, "") for key, reason in reasons.items()]
    console.table(("", "base", "source", Column("image", yields=2), Column("digest", yields=1)), rows)


def running(containers: Sequence[Running], *, json: bool = False) -> None:
    """Print the state, health, digest and address of each container."""
    if json:
        console.result(containers)
        return
    rows = [
        (
            console.mark("ok" if container.state == "running" and container.health in {"healthy", ""} else "fail"),
            container.name,
            container.state,
            container.health,
            container.image.rpartition("@")[2][:19],
            container.url,
        )
        for container in containers
    ]
    digest, url = Column("digest", yields=1), Column("url", yields=2)
    console.table(("", "container", "state", "health", digest, url), rows)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The containers that were removed, and whether their volumes were."""

    removed: list[str]
    volumes: bool


def stopped(containers: Sequence[str], *, volumes: bool, planned: bool) -> None:
    """Print which containers were removed, or with `planned` would be."""
    data = Stopped(list(containers), volumes)
    if planned:
        text = f"remove {', '.join(containers) or 'nothing'}{', and every volume' if volumes else ''}"
    else:
        text = ("stack removed" if containers else "nothing was running") + (", volumes removed" if volumes else "")
    console.outcome(text, data, planned=planned)


def secrets(files: Mapping[str, str]) -> None:
    """Print what became of each secret's file, or would."""
    if console.collects():
        console.result(files)
    else:
        console.table(("secret", Column("file", yields=1)), list(files.items()))


def rotation(file: Path, *, finish: bool) -> None:
    """Print what a rotation of the secret in this file would do."""
    what = f"end the overlap of {file}" if finish else f"renew {file}"
    console.outcome(what, {"secret": file.name, "file": file, "old_value_accepted": not finish}, planned=True)


def rotated(file: Path, *, finished: bool | None = None) -> None:
    """Print that a secret was renewed, or that its overlap has `finished`; False if there was none."""
    if finished is None:
        what = "renewed; the old value is still accepted"
    else:
        what = "the old value is refused from now on" if finished else "there was no old value"
    data = {"secret": file.name, "file": file, "old_value_accepted": finished is None}
    console.outcome(f"{file.name}: {what}", data)


def planned_start(manifest: Manifest, services: Sequence[str], *, release: str) -> None:
    """Print the containers that `up` would start, and what is there of them now; as JSON with the Compose file.

    Raises what choosing images raises.
    """
    # Reading releases and rendering Compose files are not paid for by a build that only shows its images.
    from build.deploy.start import runnable
    from build.stack import compose, model, secret_folder, status

    what = runnable(manifest, services, release=release)
    images = {name: what.images[name] for name in what.services}
    stack = model.stack(manifest, images, model.checkout(manifest, secret_folder.locate(manifest)))
    document = compose.document(stack)
    now = {container.name: container for container in status.containers(manifest)}
    starts = [Start.of(name, str(entry["image"]), now.get(name)) for name, entry in document["services"].items()]
    if console.collects():
        console.result({"containers": starts, "compose": document})
        return
    rows = [(start.container, start.now, start.image) for start in starts]
    console.table(("container", "now", Column("would run", yields=1)), rows)


@dataclass(frozen=True, slots=True)
class Start:
    """A container that a start would start: the image that it would run, and what is there of it now."""

    container: str
    image: str
    now: str

    @classmethod
    def of(cls, name: str, image: str, present: Running | None) -> Start:
        """What a start would do with a container: the image that it would run, and what is there of it."""
        if present is None:
            return cls(name, image, "not there")
        same = present.image == image
        return cls(name, image, f"{present.state}, {'the same image' if same else 'another image'}")
