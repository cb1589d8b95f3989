"""The containers of a Compose project as the engine has them, and where they differ from their specs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from build.deploy.target import SPEC_LABEL, Observed, Spec
from build.deploy.targets.compose import facts
from build.engine.api import Api, ApiError
from build.engine.remote import Engine

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_MADE = "com.docker.compose.config-hash"
_ABSENT = "absent"
_MOUNTED = "/volume"
_NO_SUCH_PATH = "bind source path does not exist"
_NO_IMAGE = "unity-claude.invalid/none:none"


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """How a container is doing; `started` is when it was started last, "" for one that is not there."""

    status: str
    health: str
    error: str
    exit_code: int
    restarts: int
    started: str

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.status == "running"


def listed(api: Api, project: str, name: str = "") -> list[dict[str, Any]]:
    """The project's containers, or those of one name, stopped ones included, as the API lists them."""
    service = f"{_SERVICE}={name}" if name else _SERVICE  # what has no such label is none of Compose's
    entries: list[dict[str, Any]] = api.get(
        "/containers/json", filters={"label": [f"{_PROJECT}={project}", service]}, all="true"
    )
    return entries


def others(api: Api, project: str, name: str) -> list[str]:
    """The ids of what goes by this name and is not the one that Compose made: it would leave that, or want its name."""
    return [
        entry["Id"]
        for entry in listed(api, project, name)
        if entry["Names"] != [f"/{project}-{name}-1"] or _MADE not in entry["Labels"]
    ]


def states(api: Api, project: str) -> list[tuple[str, str]]:
    """The id and the state of each container of the project."""
    entries = api.get("/containers/json", filters={"label": [f"{_PROJECT}={project}"]}, all="true")
    return sorted((entry["Id"], entry["State"]) for entry in entries)


def state(api: Api, project: str, name: str) -> State:
    """How the container of this name is doing; one that is not there is `absent`."""
    record = _record(api, f"{project}-{name}-1")
    if record is None:
        return State(status=_ABSENT, health="", error="", exit_code=0, restarts=0, started="")
    now = record["State"]
    return State(
        status=now["Status"],
        health=(now.get("Health") or {}).get("Status", ""),
        error=now["Error"],
        exit_code=now["ExitCode"],
        restarts=record["RestartCount"],
        started=now["StartedAt"],
    )


def observed(api: Api, project: str, expected: Mapping[str, Spec]) -> dict[str, Observed]:
    """Every container of the project by name, compared with what is expected of it."""
    records = [record for entry in listed(api, project) if (record := _record(api, entry["Id"])) is not None]
    images = {image: api.find(f"/images/{image}/json") or {} for image in {record["Image"] for record in records}}
    by_name: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_name.setdefault(record["Config"]["Labels"][_SERVICE], []).append(record)
    order = {name: position for position, name in enumerate(expected)}
    return {
        name: _observed(by_name[name], images, expected.get(name))
        for name in sorted(by_name, key=lambda name: (order.get(name, len(order)), name))
    }


def _observed(records: list[dict[str, Any]], images: Mapping[str, Any], spec: Spec | None) -> Observed:
    record = records[0]
    image = images[record["Image"]]
    drift = [] if spec is None else facts.differences(record, image, spec)
    if len(records) > 1:
        drift.append(f"{len(records)} of it run instead of one")
    now = record["State"]
    return Observed(
        spec=record["Config"]["Labels"].get(SPEC_LABEL, ""),
        image=_reference(record, image),
        state=now["Status"],
        health=(now.get("Health") or {}).get("Status", ""),
        since=now["StartedAt"][:19] + "Z",
        replicas=len(records),
        drift=tuple(drift),
        error=now["Error"],
    )


def _reference(record: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    """What the container really runs: its name@digest if its image has that digest, else what the image is called."""
    configured = str(record["Config"]["Image"])
    digests = image.get("RepoDigests") or []
    return configured if configured in digests else next(iter(digests), str(record["Image"]))


def last_words(engine: Engine, project: str, name: str, lines: int) -> str:
    """The last lines that the container of this name has written; "" for one that is not there."""
    output = engine.cli("logs", "--tail", str(lines), f"{project}-{name}-1", ok_codes=(0, 1))
    return output.stdout + output.stderr


def write_file(api: Api, volume: str, image: str, name: str, text: str) -> None:
    """Write a file into a volume, by a container that never runs: the engine may be on another machine."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(text.encode()), 0o644
        tar.addfile(entry, io.BytesIO(text.encode()))
    mount = {"Type": "volume", "Source": volume, "Target": _MOUNTED}
    body = {"Image": image, "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}}
    identity = api.post("/containers/create", body)["Id"]
    try:
        path = f"/containers/{identity}/archive"
        headers = {"Content-Type": "application/x-tar"}
        api.request("PUT", path, {"path": _MOUNTED}, content=archive.getvalue(), headers=headers)
    finally:
        remove(api, identity)


def has_path(api: Api, path: str) -> bool:
    """Whether the engine's machine has a path.

    The engine looks for what is mounted before it looks for the image, and there is none of this name: so it refuses in
    either case, and creates nothing.
    """
    mount = {"Type": "bind", "Source": path, "Target": _MOUNTED, "ReadOnly": True}
    try:
        api.post("/containers/create", {"Image": _NO_IMAGE, "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}})
    except ApiError as error:
        if _NO_SUCH_PATH in error.reason:
            return False
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    return True


def stop(api: Api, identity: str, seconds: int) -> None:
    """Stop a container in order, by SIGKILL after these seconds; no failure if it is gone."""
    try:
        api.post(f"/containers/{identity}/stop", t=str(seconds), seconds=api.seconds + seconds)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def remove(api: Api, identity: str) -> None:
    """Remove a container, running or not; no failure if it is gone, or already on its way."""
    try:
        api.delete(f"/containers/{identity}", force="true")
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise


def _record(api: Api, identity: str) -> dict[str, Any] | None:
    """The engine's record of a container; None if it is not there."""
    record: dict[str, Any] | None = api.find(f"/containers/{identity}/json")
    return record
