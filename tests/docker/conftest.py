"""The real engine for every test of this folder, and small services built on the Python base. Never skips in CI."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build import json_file
from build.config.load import load
from build.engine import client as engine_client
from build.errors import MissingTool, ToolFailed
from build.images import bases
from tests.conftest import REPOSITORY, Project
from tests.machine import lacking

_HERE = Path(__file__).parent
_GIVEN_OUT: set[int] = set()

SERVER = """\
import http.server, json, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "healthy", "path": self.path}).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json"); self.end_headers(); self.wfile.write(body)
    def log_message(self, *args): print(json.dumps({"event": "request", "path": self.path}), flush=True)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
DOCKERFILE = """\
FROM python:3.12-slim
COPY server.py /app/server.py
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --start-interval=0.2s \\
  CMD ["python3", "-S", "-I", "-c", "import http.client as h,sys;c=h.HTTPConnection('127.0.0.1',8000,timeout=3);c.request('GET','/');sys.exit(c.getresponse().status!=200)"]
ENTRYPOINT ["python3", "/app/server.py"]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked `docker`."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def docker_engine() -> dict[str, str]:
    """The versions of the engine, buildx and Compose; skips without one at home, fails in CI."""
    try:
        return engine_client.require(load(REPOSITORY, {}, local=False).tools)
    except MissingTool as error:
        lacking(f"{error} (./inv engine)")


@pytest.fixture(scope="session")
def python_base(docker_engine: dict[str, str]) -> dict[str, Any]:
    """The record of the Python base image, resolved once in the repository."""
    manifest = load(REPOSITORY, os.environ)
    _, reasons = bases.resolve(manifest, ["python", "registry"])
    assert not reasons, reasons
    return json_file.read(manifest.workspace.bases)


@pytest.fixture(scope="session")
def powershell_base(docker_engine: dict[str, str]) -> None:
    """The record of the PowerShell base, resolved once in the repository; skips where nothing here has that base."""
    _, reasons = bases.resolve(load(REPOSITORY, os.environ), ["powershell"])
    if reasons:
        pytest.skip(f"no PowerShell base here: {reasons['powershell']}")


@pytest.fixture(scope="session")
def registry_program(python_base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Distribution's own program, taken out of the registry base: for registries with odd settings, run as processes."""
    image = python_base["registry"]["context"].removeprefix("docker-image://")
    return take_registry_program(image, tmp_path_factory.mktemp("registry-program"))


def take_registry_program(image: str, folder: Path) -> str:
    """Distribution's own program, copied out of its image into a folder; its path."""
    container = engine_client.cli("create", image, "x").stdout.strip()
    program = folder / "registry"
    try:
        for inside in ("/usr/bin/docker-registry", "/bin/registry"):
            with contextlib.suppress(ToolFailed):
                engine_client.cli("cp", f"{container}:{inside}", str(program))
                return str(program)
    finally:
        engine_client.cli("rm", "--force", container)
    raise AssertionError(f"{image} holds no registry program")


def free_port() -> int:
    """A port that nobody listens on right now, and that was not given out before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _GIVEN_OUT:
            _GIVEN_OUT.add(port)
            return port


@pytest.fixture
def stack_project(empty_project: Project, python_base: dict[str, Any]) -> Iterator[Project]:
    """A committed project of two small services (one, two) with a network, a secret and a volume; nothing stays of it."""
    manifest_text = (empty_project.root / "versions.toml").read_text()
    port = free_port()
    host = f"127.0.0.{2 + os.getpid() % 200}:{port}"
    manifest_text = manifest_text.replace('address = "127.0.0.1:5000"', f'address = "{host}"')
    (empty_project.root / "versions.toml").write_text(manifest_text)
    reuse_bases(empty_project, python_base)
    for name in ("one", "two"):
        add_server(empty_project, name)
    empty_project.commit("Start")
    project_name = empty_project.load().project.name
    yield empty_project
    clean(project_name, host)


@pytest.fixture
def built(stack_project: Project) -> Project:
    """The project with its images built and its secrets made."""
    for arguments in (["build"], ["secrets.init"]):
        ran = stack_project.inv(*arguments)
        assert ran.code == 0, ran.text
    return stack_project


def reuse_bases(project: Project, record: dict[str, Any]) -> None:
    """Let the project's record say what the repository's says, under its own settings."""
    manifest_file = project.root / "versions.toml"
    shipped = load(REPOSITORY, {}, local=False).bases.images["registry"]
    manifest_file.write_text(
        manifest_file.read_text().replace(
            "[build_secrets]",
            f'[bases.images.registry]\nreference = "{shipped.reference}"\npackages = {json.dumps(list(shipped.packages))}\n\n[build_secrets]',
        )
    )
    loaded = project.load()
    stored = {
        key: record[key] | {"recipe": bases.recipe(loaded, loaded.bases.images[key])} for key in ("python", "registry")
    }
    json_file.write(loaded.workspace.root / "bases.json", stored)


def add_server(project: Project, name: str, dockerfile: str = DOCKERFILE, **extra: str) -> int:
    """Add a small HTTP service to the project on a free port; the port."""
    port = free_port()
    options = {"bases": '["python"]', "secrets": '["alpha"]', "volumes": f'{{ {name}-data = "/data" }}'} | extra
    container = "\n".join(f"{key} = {value}" for key, value in options.items() if key != "smoke")
    project.append(
        f'\n[services.{name}]\nfolder = "docker/{name}"\ndescription = "A test"\nport = 8000\n{container}\n'
        f"[services.{name}.containers.{name}]\nport = {port}\n"
        f'\n[[services.{name}.smoke]]\nname = "answers"\npath = "/x"\njson = {{ status = "healthy" }}\ndeadline_seconds = 5\n'
    )
    project.write(f"docker/{name}/Dockerfile", dockerfile)
    project.write(f"docker/{name}/server.py", SERVER)
    return port


def clean(project: str, registry: str) -> None:
    """Remove containers, volumes, networks and images of a test project."""
    docker = shutil.which("docker") or "docker"

    def listed(*arguments: str) -> list[str]:
        return subprocess.run([docker, *arguments], capture_output=True, text=True, check=False).stdout.split()

    label = f"label=com.docker.compose.project={project}"
    containers = listed("ps", "-aq", "--filter", label) + listed("ps", "-aq", "--filter", f"name={project}-registry")
    if containers:
        listed("rm", "-f", *containers)
    for kind in ("volume", "network"):
        if found := listed(kind, "ls", "-q", "--filter", f"name={project}-"):
            listed(kind, "rm", "-f", *found)
    if images := listed("images", "-q", "--filter", f"reference={registry}/*/*"):
        listed("rmi", "-f", *images)
