"""The data of the volumes of a Compose project: reached by short-lived containers of the images that write to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO

from build.deploy import beside as works
from build.deploy.target import Spec
from build.engine.api import Api
from build.engine.remote import Engine


def volumes(api: Api, specs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
    """The volumes of the engine that these containers write to, as versions.toml calls them, with the containers."""
    users: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for container, spec in specs.items():
        for mount in _writable(container, spec):
            users.setdefault(mount["source"], []).append(container)
            names[mount["source"]] = spec.document["volumes"][mount["source"]]["name"]
    present = {volume["Name"] for volume in api.get("/volumes")["Volumes"] or []}
    return {volume: tuple(containers) for volume, containers in users.items() if names[volume] in present}


def _writable(container: str, spec: Spec) -> list[dict[str, str]]:
    mounts = spec.document["services"][container].get("volumes", [])
    return [mount for mount in mounts if mount["type"] == "volume" and not mount.get("read_only")]


def beside(
    engine: Engine, project: str, mounted: tuple[str, str, Spec], words: Sequence[str], *,
    source: IO[bytes] | None = None, sink: IO[bytes] | None = None, shared: bool = False,
) -> str:  # fmt: skip
    """Run in_volume.py on a volume of a container (`mounted`: the volume, the container, its spec).

    Raises as `KeepsData.beside` does.
    """
    volume, container, spec = mounted
    (mount,) = [mount for mount in _writable(container, spec) if mount["source"] == volume]
    work = works.Work(
        container=container,
        image=spec.image,
        volume=spec.document["volumes"][volume]["name"],
        kept=works.kept_volume(project),
        folder=mount["target"],
        words=tuple(words),
    )
    name = works.new_name(project, shared=shared)
    return works.run(engine, name, work, source=source, sink=sink, shared=shared)
