"""The doctor on broken machines: real sockets, git and files, and the docker client if this machine has one."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import http.server
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.diagnosis import Row
from build.engine import client as docker
from build.engine import disk
from build.errors import BuildError
from build.machine import docker_checks, doctor
from build.views import doctor as view
from tests.support.project import PYTHON, Project

needs_client = pytest.mark.skipif(not shutil.which("docker"), reason="no docker client to ask")


@pytest.fixture(autouse=True)
def fresh_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Choose the docker binary again before and after the test, without the caller's DOCKER_HOST."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    docker.forget()
    yield
    docker.forget()


@pytest.fixture
def manifest(project: Project) -> Manifest:
    """A manifest with a registry address on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return project.load(UC_REGISTRY_ADDRESS=f"127.0.0.1:{server.getsockname()[1]}")


def examined(manifest: Manifest) -> dict[str, Row]:
    """Return the rows by check, after asserting that each failure and warning has a remedy."""
    rows = doctor.examine(manifest)
    assert [row for row in rows if row.state in {"fail", "warn"} and not row.remedy] == []
    return {row.check: row for row in rows}


def test_a_row_for_everything_that_is_needed(manifest: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    """The report has each check once, in order, and survives JSON unchanged."""
    rows = doctor.examine(manifest)
    names = [row.check for row in rows]
    assert names[:7] == ["Python", "Git", "repository", "environment", "place", "root", "Docker client"]
    assert {f"base {PYTHON}", "CA bundle", "disk", "registry", "clock"} <= set(names)
    assert len(set(names)) == len(names)
    view.report(rows, json=True)
    assert [Row(**row) for row in json.loads(capsys.readouterr().out)] == list(rows)


def test_without_docker_nothing_raises(monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path) -> None:
    """Without a client there is one failure that says what to install; checks that depend on it are skipped."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    rows = examined(manifest)
    assert (rows["Docker client"].state, rows["Docker client"].found) == (
        "fail",
        "docker is not installed or not on PATH",
    )
    assert "./inv engine --yes" in rows["Docker client"].remedy
    assert {rows[name].state for name in ("buildx", "Compose", "image store", "containers", "clock")} == {"skip"}
    assert rows["repository"].state == "ok"


def test_a_docker_that_can_not_be_executed_is_named(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path
) -> None:
    """A client for another architecture is one failure, with its path and the system's reason."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "")
    (tmp_path / "bin/docker").write_bytes(b"MZ\x90\x00")
    (tmp_path / "bin/docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    rows = examined(manifest)
    assert rows["Docker Engine"].state == "fail"
    assert rows["Docker Engine"].found == f"{tmp_path}/bin/docker can't be run: Exec format error"
    assert rows["Docker Engine"].remedy == f"fix or remove {tmp_path}/bin/docker"
    assert {rows[name].state for name in ("buildx", "Compose", "image store", "containers", "clock")} == {"skip"}


@needs_client
def test_a_dead_docker_host_is_named(monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path) -> None:
    """A daemon that does not answer is named by its address; the client's plugins are still checked."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone.sock")
    rows = examined(manifest)
    assert rows["Docker Engine"].state == "fail"
    assert "the Docker daemon is not running" in rows["Docker Engine"].found
    assert f"DOCKER_HOST=unix://{tmp_path}/gone.sock" in rows["Docker Engine"].found
    assert "unset DOCKER_HOST" in rows["Docker Engine"].remedy
    assert rows["Docker client"].state == "ok"
    assert rows["image store"].state == "skip"


@needs_client
def test_a_docker_without_plugins_that_comes_first_is_named(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path
) -> None:
    """The toolkit ignores it, but warns the user, whose `docker` command would use it."""
    first = tmp_path / "bin/docker"
    first.parent.mkdir()
    first.write_text("#!/bin/sh\necho 'could not be found in this WSL 2 distro' >&2\nexit 1\n")
    first.chmod(0o755)
    used = docker.docker()
    docker.forget()
    monkeypatch.setenv("PATH", f"{first.parent}:{Path(used).parent}:/usr/bin:/bin")
    row = examined(manifest)["Docker client"]
    assert row.state == "warn"
    assert f"{first} comes first on PATH and finds no buildx" in row.found
    assert row.remedy == f"export PATH={Path(docker.docker()).parent}:$PATH"


@pytest.mark.parametrize("helper", ["absent", "not executable"])
def test_a_credential_helper_that_can_not_run(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path, helper: str
) -> None:
    """A Windows helper that Docker Desktop left in the configuration, which breaks every pull elsewhere, is reported."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "config.json").write_text('{"credsStore": "desktop.exe"}')
    if helper == "not executable":
        (tmp_path / "docker-credential-desktop.exe").write_bytes(b"MZ\x90\x00")
        (tmp_path / "docker-credential-desktop.exe").chmod(0o755)
    row = examined(manifest)["credential helper"]
    assert row.state == "fail"
    assert "docker-credential-desktop.exe can't be run" in row.found
    assert str(tmp_path / "config.json") in row.remedy


@pytest.mark.parametrize("text", ["{", '{"credHelpers": ["desktop"]}'])
def test_a_broken_docker_configuration_is_a_row(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path, text: str
) -> None:
    """A file that is not JSON, or not a configuration, is reported with its path, next to the other rows."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(text)
    row = examined(manifest)["credential helper"]
    assert (row.state, str(tmp_path / "config.json") in row.found) == ("fail", True)


@contextlib.contextmanager
def answering(status: int, kind: str = "application/json") -> Iterator[str]:
    """The address of a loopback server that answers every request like this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "kind", "state", "says"),
    [
        (200, "application/json", "ok", ""),
        (401, "application/json", "fail", "docker login 127.0.0.1:"),
        (200, "text/html", "fail", "UC_REGISTRY_ADDRESS"),
        (404, "application/json", "fail", "UC_REGISTRY_ADDRESS"),
    ],
)
def test_what_the_registry_answers(
    monkeypatch: pytest.MonkeyPatch, project: Project, tmp_path: Path, status: int, kind: str, state: str, says: str
) -> None:
    """A registry, a required login, and another program on the port are distinguished; loopback bypasses proxies."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with answering(status, kind) as address:
        row = examined(project.load(UC_REGISTRY_ADDRESS=address))["registry"]
    assert row.state == state, row
    assert says in row.remedy


def test_an_embedded_registry_that_is_down_is_a_warning(project: Project, manifest: Manifest) -> None:
    """A stopped embedded registry is a warning; an external one that can't be reached is a failure."""
    row = examined(manifest)["registry"]
    assert (row.state, row.remedy) == ("warn", "./inv registry.up")
    other = dataclasses.replace(manifest, registry=dataclasses.replace(manifest.registry, embedded=False))
    assert examined(other)["registry"].state == "fail"


def test_a_taken_port_is_a_row_that_names_the_process(project: Project) -> None:
    """The row names the port, the process that has it, and the container that needs it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        project.service("api", port)
        rows = examined(project.load(UC_REGISTRY_ADDRESS="127.0.0.1:1"))
    row = rows[f"port {port}"]
    assert row.state == "fail"
    assert re.fullmatch(rf"taken by \S+ \(pid {os.getpid()}\); api publishes it", row.found)
    assert "versions.local.toml" in row.remedy
    assert "ports" not in rows


def test_a_shallow_clone_is_a_failure(project: Project, tmp_path: Path) -> None:
    """The version counts from tags that a shallow clone may not have, so a build refuses one."""
    project.commit("More")
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.root}", str(tmp_path / "shallow"))
    row = examined(Project(tmp_path / "shallow").load(UC_REGISTRY_ADDRESS="127.0.0.1:1"))["repository"]
    assert (row.state, row.remedy) == ("fail", "git fetch --unshallow --tags (in CI: fetch the full history)")


def test_outside_a_repository(empty_project: Project) -> None:
    """No repository is a failure with its remedy, not an exception."""
    row = examined(empty_project.load(UC_REGISTRY_ADDRESS="127.0.0.1:1"))["repository"]
    assert (row.state, row.remedy) == ("fail", "git init && git commit")


def test_files_that_are_missing(project: Project) -> None:
    """Missing build secrets, runtime secrets and stand-in files are each named, with their expected place."""
    project.append(
        '\n[bases.images.shell]\nreference = "example/shell:1"\npackages = ["x"]\narchive = "shell.tar.xz"\n'
    )
    project.service("api", 18981, secrets='["alpha"]')
    manifest = project.load(UC_REGISTRY_ADDRESS="127.0.0.1:1", UC_BUILD_SECRETS_CA_BUNDLE="nowhere.pem")
    rows = examined(manifest)
    assert (rows["CA bundle"].state, "nowhere.pem" in rows["CA bundle"].found) == ("fail", True)
    assert (rows["runtime secrets"].state, rows["runtime secrets"].remedy) == ("warn", "./inv secrets.init")
    assert "shell.tar.xz, which its stand-in needs, is in no archive folder" in rows["base example/shell:1"].found
    assert rows["base example/shell:1"].remedy == "./inv bases"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    """Little free space is a warning, almost none a failure."""
    monkeypatch.setattr(disk, "WARN_GIGABYTES", 10**9)
    assert examined(manifest)["disk"].state == "warn"
    monkeypatch.setattr(disk, "FAIL_GIGABYTES", 10**9)
    assert examined(manifest)["disk"].state == "fail"


@needs_client
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the pipes of the abandoned client
def test_an_engine_that_hangs_does_not_hold_up_the_rest(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path
) -> None:
    """A socket that accepts the request and never answers gives a row after the deadline."""
    monkeypatch.setattr(docker_checks, "_INFO_SECONDS", 1)
    path = f"/tmp/uc-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        began = time.monotonic()
        rows = examined(manifest)
        gc.collect()
    Path(path).unlink()
    assert rows["Docker Engine"].state == "fail"
    assert time.monotonic() - began < 20


def test_the_task_fails_when_a_row_does(capsys: pytest.CaptureFixture[str]) -> None:
    """A failing row sets the exit code for pipelines and a sign for people."""
    rows = (
        Row(check="disk", state="fail", found="1 GB", remedy="docker system df"),
        Row(check="Git", state="ok", found="2"),
    )
    with pytest.raises(BuildError, match="fails 1 of 2 checks: disk") as failure:
        doctor.require(rows)
    assert failure.value.exit_code == 1
    doctor.require(rows[1:])
    view.report(rows)
    assert capsys.readouterr().out.splitlines()[1].split() == ["✗", "disk", "1", "GB", "docker", "system", "df"]
