"""A world whose one service counts into SQLite, with releases of several formats of its data, and sites of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import sqlite3
import tarfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build.images.data_formats import LABEL, DataFormat, of_labels
from tests.support import world as worlds
from tests.support.deployed import Engine
from tests.support.deploying import TARGET, Releases, Site
from tests.support.hub import Hub
from tests.support.own_engine import until
from tests.support.project import REPOSITORY
from tests.support.spoiled import Config, configured
from tests.support.stack import USER_AND_HEALTH, free_port, reuse_bases

SERVICE, VOLUME = "counter", "counter-data"
_TABLE = """
[release]
stand_ins = ["python"]

[smoke]
journey = ""

[services.counter]
folder = "docker/counter"
description = "Counts"
port = 8000
published = 18991
bases = ["python"]
networks = ["internal", "edge"]
volumes = { counter-data = "/data" }
memory = "128m"

[[services.counter.smoke]]
name = "answers"
path = "/"
json = { status = "healthy" }
deadline_seconds = 3
"""
_START = """\
FROM python
COPY counting.py content /app/
RUN mkdir /data && chown 10001:10001 /data
LABEL org.unity-claude.data-format.counter-data="1"
ENV FORMAT=1
"""
_DOCKERFILE = f'{_START}{USER_AND_HEALTH}ENTRYPOINT ["python3", "/app/counting.py"]\n'
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Counting:
    """The releases: the first is a real one, of format 1; others have its image with another configuration."""

    releases: Releases
    first: str = "0.1.0"
    _made: dict[tuple[str, bool], str] = field(default_factory=dict)

    def version(self, label: str, *, crash: bool = False) -> str:
        """The version of a release whose image states this format; with `crash` it counts on, and ends."""
        if (label, crash) not in self._made:
            formats = of_labels({f"{LABEL}{VOLUME}": label})
            digest = self._image(label, formats[VOLUME], crash=crash)
            self._made[label, crash] = self.releases.forge({SERVICE: digest}, data={SERVICE: formats})
        return self._made[label, crash]

    def _image(self, label: str, stated: DataFormat, *, crash: bool) -> str:
        record, hub = self.releases.record(self.first), self.releases.world.hub
        repository = record.repository_of(SERVICE)

        def change(config: Config) -> None:
            config["Labels"] |= {f"{LABEL}{VOLUME}": label}
            others = [variable for variable in config["Env"] if not variable.startswith("FORMAT=")]
            config["Env"] = [*others, f"FORMAT={stated.writes}", *(["CRASH=1"] if crash else [])]

        return configured(hub, repository, record.services[SERVICE].digest, change)


def make(folder: Path, namespace: str, address: str, hub: Hub, bases: dict[str, Any]) -> Counting:
    """Create the world and its first release."""
    project, text = worlds.begin(folder, namespace, address)
    project.write("versions.toml", text + _TABLE)
    project.write(".gitignore", ".uc/\n__pycache__/\nversions.local.toml\n")
    project.write("docker/counter/Dockerfile", _DOCKERFILE)
    project.write("docker/counter/content", "counter\n")
    program = (REPOSITORY / "tests" / "support" / "programs" / "counting.py").read_text()
    project.write("docker/counter/counting.py", program)
    reuse_bases(project, bases)
    project.commit("feat: start")
    world = worlds.attach(folder, namespace, address, hub)
    ran = world.clone.release()
    assert ran.code == 0, ran.text
    return Counting(Releases(world))


def site(counting: Counting, engine: Engine, **settings: str) -> Site:
    """A target that nothing was deployed to yet, in a checkout of its own."""
    project = f"uct-c{os.getpid()}-{next(_NUMBERS)}"
    port = free_port()
    clone = counting.releases.world.another()
    values = {
        "kind": '"compose"', "project": f'"{project}"', "health_seconds": "20", "monitor_seconds": "1", **settings
    }  # fmt: skip
    lines = "".join(f"{key} = {value}\n" for key, value in values.items())
    clone.project.write(
        "versions.local.toml",
        f"[deploy.targets.{TARGET}]\n{lines}\n[deploy.targets.{TARGET}.ports]\n{SERVICE} = {port}\n",
    )
    return Site(counting.releases, clone, project, {SERVICE: port}, engine)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a volume has: the numbers from `first` to `last`, `many` of them, the formats it has had, and its note."""

    first: int
    last: int
    many: int
    integrity: str
    formats: tuple[int, ...]
    note: str

    def assert_sound(self) -> None:
        """Assert that the database is whole, and no number is missing."""
        assert self.integrity == "ok"
        assert (self.first, self.many) == (1, self.last), self


def counts(site: Site, path: str = "/") -> Counts:
    """What the service says of its volume."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        site.url(SERVICE, path), timeout=10
    ) as answer:
        table = json.load(answer)
    assert not [name for name in table.pop("names") if name.startswith(".uc-")], "a swap was left half done"
    table.pop("status")
    return Counts(**table | {"formats": tuple(table["formats"])})


def counted(site: Site, more: int = 50) -> Counts:
    """What the service says of its volume, once it has counted on."""
    before = counts(site).last
    until(lambda: counts(site).last >= before + more, 20, lambda: f"it does not count on: {counts(site)}")
    return counts(site)


def inside(backup: Path, folder: Path) -> Counts:
    """What is in a backup, read from it without the library."""
    with tarfile.open(backup) as tar:
        tar.extractall(folder, filter="data")
    data = folder / "volumes" / VOLUME
    with contextlib.closing(sqlite3.connect(data / "counts.db")) as db:
        first, last, many = db.execute("SELECT min(n), max(n), count(*) FROM counts").fetchone()
        (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
        formats = tuple(row[0] for row in db.execute("SELECT format FROM formats ORDER BY format"))
    note = data / "note"
    return Counts(first, last, many, verdict, formats, note.read_text() if note.exists() else "")


def rewritten(backup: Path, to: Path, **changes: Any) -> Path:
    """Write a backup anew, whose first entry has other values."""
    with tarfile.open(backup) as tar, tarfile.open(to, "w:gz") as other:
        for member in tar:
            content = tar.extractfile(member)
            if member.name == "backup.json":
                assert content is not None
                text = json.dumps(_merged(json.load(content), changes)).encode()
                member.size, content = len(text), io.BytesIO(text)
            other.addfile(member, content)
    return to


def with_file(backup: Path, to: Path, volume: str, name: str, content: bytes) -> Path:
    """Write a backup anew with another content of a file, as if it had been backed up so."""
    own = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    rewritten(backup, to, volumes={volume: {"files": {name: own}}})
    with tarfile.open(to) as tar:
        members = [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]
    with tarfile.open(to, "w:gz") as tar:
        for member, before in members:
            found = content if member.name == f"volumes/{volume}/{name}" else before
            member.size = len(found)
            tar.addfile(member, io.BytesIO(found))
    return to


def _merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return table | {
        key: _merged(table[key], value) if isinstance(value, dict) else value for key, value in changes.items()
    }
