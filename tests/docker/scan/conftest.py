"""Shared by the scan tests: a registry with databases, tiny images with findings, and the gate on them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from build import json_file
from build.config.manifest import Gates, Manifest
from build.engine import client as docker
from build.errors import ToolFailed
from build.gates.scan.gate import scan
from build.gates.scan.verdict import ImageVerdict
from build.images.image import Image
from tests.support import database_writer
from tests.support.project import Project
from tests.support.stack import free_port

METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"
JINJA2 = {"usr/lib/python3/dist-packages/Jinja2-2.10.dist-info/METADATA": METADATA.format("Jinja2", "2.10")}
DEBIAN = {
    "etc/debian_version": "13.1\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
    "var/lib/dpkg/status": (
        "Package: libssl3t64\nStatus: install ok installed\nSource: openssl\nArchitecture: amd64\nVersion: 3.5.1-1\n"
        "Maintainer: Test <test@example.invalid>\nDescription: A test\n\n"
    ),
    "usr/share/doc/libssl3t64/copyright": "License: GPL-3.0\n",
}
# Assembled here, so that no scanner of this repository takes it for a real token.
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
LEAK = {"app/settings.env": f"GITHUB_PAT={TOKEN}\n"}

Build = Callable[..., Image]


@dataclass(frozen=True, slots=True)
class Registry:
    """A disposable registry: its address, the process that serves it, and the databases pushed to it."""

    address: str
    process: subprocess.Popen[bytes]

    def push(self, name: str, database: bytes, *, age: timedelta = timedelta()) -> str:
        """Push a database created `age` ago; return its reference by digest."""
        made = datetime.now(UTC).replace(microsecond=0) - age
        return database_writer.push(self.address, f"db/{name}", database_writer.artifact(database, made))


@contextlib.contextmanager
def serve(program: str, folder: Path, host: str) -> Iterator[Registry]:
    """Run a Distribution registry on a free port of a loopback address, without TLS, until the block ends."""
    address = f"{host}:{free_port()}"
    storage = {"filesystem": {"rootdirectory": str(folder / "storage")}}
    config = {"version": "0.1", "log": {"level": "error"}, "storage": storage, "http": {"addr": address}}
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not answers(address):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield Registry(address, process)
    finally:
        process.terminate()
        process.wait(10)


def answers(address: str) -> bool:
    """Whether a registry answers at the address."""
    try:
        return httpx.get(f"http://{address}/v2/", timeout=1).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="package")
def registry(registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the images and databases of this folder, on its own address."""
    with serve(registry_program, tmp_path_factory.mktemp("registry"), f"127.0.77.{2 + os.getpid() % 200}") as running:
        yield running


@pytest.fixture(scope="package")
def database(registry: Registry) -> str:
    """A fresh database that covers everything in these tests' images."""
    return registry.push("full", database_writer.bolt(database_writer.advisories()))


@pytest.fixture(scope="package")
def build(
    registry: Registry, docker_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Build]:
    """Return a function that builds an image of a few files, with provenance as in production, and by default pushes it."""
    made: set[str] = set()

    def build(service: str, files: dict[str, str], *, more: str = "", push: bool = True, platform: str = "") -> Image:
        folder = tmp_path_factory.mktemp(service)
        for name, text in files.items():
            (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "root" / name).write_text(text)
        (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY root /\n{more}\n")
        name, metadata = f"{registry.address}/scan/{service}", folder / "metadata.json"
        argv = [
            "buildx", "build", "--quiet", "--provenance", "mode=min", "--metadata-file", str(metadata),
            "--tag", f"{name}:1", *(["--push"] if push else []), *(["--platform", platform] if platform else []),
            str(folder),
        ]  # fmt: skip
        try:
            docker.cli(*argv)
        except ToolFailed as error:  # seen once, of the engine's own push; nothing of ours takes part in it
            logging.getLogger(__name__).warning("built again: %s", error.output)
            docker.cli(*argv)
        digest = json_file.read(metadata)["containerimage.digest"]
        made.add(digest)
        return Image(service=service, name=name, tag="1", digest=digest, fingerprint="", size=0, pushed=push)

    yield build
    docker.cli("image", "rm", "--force", *made)


@pytest.fixture(scope="package")
def vulnerable(build: Build) -> Image:
    """An image that contains Jinja2 2.10."""
    return build("vulnerable", JINJA2)


@pytest.fixture(scope="package")
def leaking(build: Build) -> Image:
    """An image that contains a token in a file."""
    return build("leaking", LEAK)


@pytest.fixture(scope="package")
def clean(build: Build) -> Image:
    """An image without findings."""
    return build("clean", {"app/hello.txt": "hello\n"})


@pytest.fixture
def manifest(project: Project, database: str) -> Manifest:
    """A project's manifest that names the fresh database."""
    return replace(project.load(), gates=Gates(db_repository=database, debian_security="off"))


def gate(manifest: Manifest, *images: Image, **gates: Any) -> tuple[ImageVerdict, ...]:
    """Scan the images, with these gate settings changed."""
    changed = replace(manifest, gates=replace(manifest.gates, **gates))
    return scan(changed, {image.service: image for image in images})


def report(verdict: ImageVerdict, kind: str) -> Any:
    """One of the JSON reports of a verdict."""
    return json.loads(verdict.reports[kind].read_text())
