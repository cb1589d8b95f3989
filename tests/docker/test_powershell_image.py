"""The PowerShell image, hardened as in the stack: what its callers, its operator and `docker stop` can rely on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from build.config.load import load
from build.engine import client as docker
from build.errors import ToolFailed
from build.images import bases
from tests.support.project import REPOSITORY

pytestmark = pytest.mark.timeout(600)

IMAGE = "uc-test-powershell-modules"
HOST = "127.0.0.86"
TOKEN = "a-token-of-the-tests"
HARDENING = (
    "--user=10001:10001", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true",
    "--tmpfs=/tmp:size=128m,mode=1777", "--memory=1g", "--cpus=1.0", "--pids-limit=256", "--volume=/var/log/uc",
)  # fmt: skip
PROBE = """
function Get-Echo { param([string] $Text) $Text }
function Start-Sleepy { param([double] $Seconds) Start-Sleep -Milliseconds ($Seconds * 1000); 'awake' }
function Start-Blocking { [Threading.Thread]::Sleep(3600000) }
"""


def build(modules: Path, critical: str, tag: str) -> None:
    """Build the image from a tree of modules; raises ToolFailed if the build fails."""
    found, reasons = bases.resolve(load(REPOSITORY, os.environ), ["powershell"])
    assert not reasons, reasons
    base = found["powershell"]
    nothing = modules.parent / "nothing"
    nothing.mkdir(exist_ok=True)
    (nothing / "secret").touch()
    contexts = {base.reference.rpartition(":")[0]: base.context, "modules": str(modules), "nupkgs": str(nothing)}
    secrets = ("ca_bundle", "module_repository")
    docker.cli(
        "buildx", "build", "--load", "--provenance=false", "--tag", tag, "--build-arg", f"UC_CRITICAL={critical}",
        *(part for name, place in contexts.items() if place for part in ("--build-context", f"{name}={place}")),
        *(part for name in secrets for part in ("--secret", f"id={name},src={nothing / 'secret'}")),
        str(REPOSITORY / "docker" / "powershell"),
    )  # fmt: skip


def write_tree(folder: Path) -> Path:
    """Write the shipped modules and a module Probe."""
    tree = folder / "Modules"
    shutil.copytree(REPOSITORY / "Modules", tree)
    (tree / "Probe").mkdir()
    (tree / "Probe" / "Probe.psm1").write_text(PROBE)
    return tree


@pytest.fixture(scope="module")
def image(powershell_base: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image with the shipped modules and Probe."""
    tree = write_tree(tmp_path_factory.mktemp("image"))
    build(tree, "Probe,Unity-Claude-CompileLog", IMAGE)
    yield IMAGE
    docker.cli("rmi", "--force", IMAGE)


@dataclass
class Container:
    """A running container of the image."""

    name: str
    port: int
    token_file: Path

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        """Send one request on a new connection, with the bearer token."""
        headers = {"Authorization": f"Bearer {TOKEN}"} | options.pop("headers", {})  # type: ignore[operator]
        return httpx.request(method, f"http://{HOST}:{self.port}{path}", headers=headers, timeout=60, **options)  # type: ignore[arg-type]

    def invoke(self, command: str, **parameters: object) -> httpx.Response:
        """Call a command of Probe."""
        return self.request("POST", "/invoke", json={"module": "Probe", "command": command, "parameters": parameters})

    def wait(self, path: str, status: int, seconds: float = 60) -> httpx.Response:
        """Wait until this path answers with this status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if (answer := self.request("GET", path)).status_code == status:
                    return answer
            time.sleep(0.05)
        raise AssertionError(f"{path} is not {status} after {seconds} s: {docker.cli('logs', self.name).stdout}")

    def wait_in_flight(self, number: int, seconds: float = 10) -> None:
        """Wait until so many requests are in flight, the one that asks among them."""
        deadline = time.monotonic() + seconds
        while f"http_requests_in_flight {number}" not in self.request("GET", "/metrics").text.splitlines():
            assert time.monotonic() < deadline, f"never {number} in flight"


@contextlib.contextmanager
def running(image: str, folder: Path, *options: str, **environment: object) -> Iterator[Container]:
    """Start the image as the stack does, on a port of this test's address, and remove the container afterwards."""
    token_file = folder / "token"
    token_file.write_text(f"{TOKEN}\n")
    token_file.chmod(0o644)
    settings = [f"--env={name}={value}" for name, value in environment.items()]
    started = docker.cli(
        "run", "--detach", *HARDENING, f"--publish={HOST}::5985",
        f"--volume={token_file}:/run/secrets/powershell_token:ro", *settings, *options, image,
    )  # fmt: skip
    name = started.stdout.strip()
    try:
        port = int(docker.cli("port", name, "5985").stdout.strip().rpartition(":")[2])
        container = Container(name, port, token_file)
        container.wait("/ready", 200)
        yield container
    finally:
        docker.cli("rm", "--force", "--volumes", name)


@pytest.fixture(scope="module")
def service(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The service with a call limit of 2 s; no test may stop it."""
    with running(image, tmp_path_factory.mktemp("service"), UC_CALL_TIMEOUT_SECONDS=2) as started:
        yield started


def test_health_reports_every_critical_module(service: Container) -> None:
    """Healthy means every critical module is available and a runspace opens; the engine's health check agrees."""
    body = service.request("GET", "/health").json()
    assert body["status"] == "healthy"
    assert [module["available"] for module in body["modules"]] == [True, True]
    assert body["runspace"]["ok"] is True
    deadline = time.monotonic() + 60
    while docker.cli("inspect", "--format={{.State.Health.Status}}", service.name).stdout != "healthy\n":
        assert time.monotonic() < deadline


def test_32_callers_at_once_are_all_answered(service: Container) -> None:
    """No call is lost and none gets another's response."""
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda number: service.invoke("Get-Echo", Text=f"caller {number}"), range(32)))
    assert [answer.json().get("result") for answer in answers] == [[f"caller {number}"] for number in range(32)]


def test_a_blocking_call_is_504_and_costs_no_worker(service: Container) -> None:
    """Four calls block all workers; the next calls are still answered."""
    with ThreadPoolExecutor(4) as pool:
        blocked = list(pool.map(lambda _: service.invoke("Start-Blocking"), range(4)))
        assert [answer.status_code for answer in blocked] == [504] * 4
        after = list(pool.map(lambda _: service.invoke("Get-Echo", Text="x"), range(4)))
    assert [answer.status_code for answer in after] == [200] * 4


def test_the_edge_refuses_what_it_should(service: Container) -> None:
    """Any Host is served; unknown commands and parameters, 10 MB and a body with two lengths get their own error codes."""
    assert service.request("GET", "/health", headers={"Host": "any.host.example:81"}).status_code == 200
    assert service.invoke("Get-Absent").status_code == 403
    assert service.invoke("Get-Echo", Nope=1).status_code == 400
    assert service.request("POST", "/invoke", content=b" " * 10_000_000).status_code == 413
    doubled = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    assert service.request("POST", "/invoke", headers=doubled, content=iter([b"{}"])).status_code == 400


def test_a_token_rotated_in_place_counts_at_once(service: Container) -> None:
    """The mounted file is overwritten in place: first both tokens are valid, then only the new one, without a restart."""

    def status(token: str) -> int:
        return service.request("GET", "/modules", headers={"Authorization": f"Bearer {token}"}).status_code

    service.token_file.write_text(f"{TOKEN}\nthe-next\n")
    assert [status(TOKEN), status("the-next")] == [200, 200]
    service.token_file.write_text("the-next\n")
    assert [status(TOKEN), status("the-next")] == [401, 200]
    service.token_file.write_text(f"{TOKEN}\n")


def test_a_critical_module_removed_from_the_volume_is_reported(image: str, tmp_path: Path) -> None:
    """503 with its name within ten seconds, and healthy again when it is back; the tree is mounted read-only."""
    tree = write_tree(tmp_path)
    with running(image, tmp_path, f"--volume={tree}:/opt/uc/Modules:ro") as container:
        (tree / "Probe" / "Probe.psm1").rename(tmp_path / "kept")
        modules = container.wait("/health", 503, 10).json()["modules"]
        assert [module["name"] for module in modules if not module["available"]] == ["Probe"]
        (tmp_path / "kept").rename(tree / "Probe" / "Probe.psm1")
        container.wait("/health", 200, 10)


@pytest.mark.parametrize(("seconds", "status"), [(0.5, 200), (60, 503)])
def test_docker_stop_answers_requests_in_flight(image: str, tmp_path: Path, seconds: float, status: int) -> None:
    """As PID 1, it finishes calls that end in time and answers the others with 503; the engine never has to kill it."""
    with running(image, tmp_path) as container, ThreadPoolExecutor(1) as pool:
        assert container.invoke("Get-Echo", Text="x").status_code == 200
        call: Future[httpx.Response] = pool.submit(container.invoke, "Start-Sleepy", Seconds=seconds)
        container.wait_in_flight(2)
        docker.cli("stop", "--time=10", container.name)
        assert call.result().status_code == status
        state = json.loads(docker.cli("inspect", "--format={{json .State}}", container.name).stdout)
        assert state["ExitCode"] == 0
        lines = [json.loads(line) for line in docker.cli("logs", container.name).stdout.splitlines()]
        assert lines[-1]["event"] == "stopped"


def test_the_image_holds_no_tools_to_build_with(image: str) -> None:
    """No package manager, downloader, compiler or interpreter except the two it runs, also by its package list."""
    gone = "apt apt-get dpkg perl curl wget git gcc cc make dotnet-sdk npm pip tar openssl"
    tools = docker.cli(
        "run", "--rm", "--entrypoint=bash", image, "-c", f"for one in {gone}; do command -v $one; done; ls -d /usr/share/dotnet/sdk || true"
    )  # fmt: skip
    assert tools.stdout == ""
    installed = docker.cli("run", "--rm", "--entrypoint=cat", image, "/var/lib/dpkg/status").stdout
    assert "Package: libc6\nStatus: install ok installed" in installed
    assert "Package: apt\n" not in installed


def test_an_image_without_its_critical_modules_is_refused(powershell_base: None, tmp_path: Path) -> None:
    """The build fails with name, kind and fix of a critical module that can't work, and makes no image."""
    tree = write_tree(tmp_path)
    (tree / "Probe" / "Probe.psm1").write_text("using assembly System.Windows.Forms\nfunction Get-Echo { }")
    with pytest.raises(ToolFailed) as failed:
        build(tree, "Probe,Unity-Claude-Absent", f"{IMAGE}-refused")
    output = failed.value.output
    assert "critical module Probe: windows-only-assembly: Probe.psm1 loads System.Windows.Forms" in output
    assert "critical module Unity-Claude-Absent: not-in-tree" in output
    assert "To fix: " in output
    assert docker.cli("images", "--quiet", f"{IMAGE}-refused").stdout == ""
