"""The six services of this repository as they really run: hardening by inspection, the story, rotation, shutdown."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from build import engine, images, loading, secrets, smoke, stack, story
from build.manifest import Manifest
from tests.conftest import REPOSITORY
from tests.docker.conftest import inv

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def inspected(running: Manifest) -> dict[str, dict[str, Any]]:
    """`docker inspect` of every container, by its Compose service."""
    names = [f"{running.project.name}-{one.name}-1" for one in stack.status(running)]
    entries = json.loads(engine.cli("inspect", *names).stdout)
    return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in entries}


def test_quickstart_again_is_quick_and_says_all(running: Manifest) -> None:
    """A second quickstart builds nothing, and its result names image, digest, URL, scan and smoke of each service."""
    before = {name: image.digest for name, image in images.recorded(running).items()}

    ran = inv("quickstart", "--json")

    assert ran.code in {0, 13}, ran.text
    result = json.loads(ran.stdout)
    assert {name: image["digest"] for name, image in result["images"].items()} == before
    assert set(result["scan"]) == set(result["smoke"]) == set(before)
    assert set(result["smoke"].values()) == {"passed"}
    assert set(result["urls"]) == set(running.services)


def test_every_container_of_the_manifest_runs(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """All containers of the services that have an image run; with every base at hand that is all nine."""
    built = images.recorded(running)
    expected = {name for name, (service, _) in running.containers().items() if service in built}

    assert set(inspected) == expected
    assert len(built) >= 5


def test_user_capabilities_and_filesystem(inspected: dict[str, dict[str, Any]]) -> None:
    """Non-root numeric user, every capability dropped, no new privileges, read-only root, nothing privileged."""
    for name, found in inspected.items():
        host = found["HostConfig"]
        assert found["Config"]["User"] == "10001:10001", name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["ReadonlyRootfs"] is True, name
        assert host["Privileged"] is False, name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name


def test_the_kernel_agrees(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Process 1 of every container runs as 10001 without any effective capability, and can't write to its root."""
    for name in inspected:
        status = engine.cli("exec", f"{running.project.name}-{name}-1", "cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] == "10001", name
        assert int(fields["CapEff"], 16) == 0, name
        assert fields["NoNewPrivs"] == "1", name
        written = subprocess.run(
            [engine.docker(), "exec", f"{running.project.name}-{name}-1", "sh", "-c", "echo x > /uc-probe"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert written.returncode != 0, name
        assert "Read-only file system" in written.stderr, name


def test_no_runtime_image_can_install_or_compile(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """What built an image is not in it: no package manager of a language, no compiler."""
    names = "npm npx corepack yarn pip pip3 uv gcc cc make"
    for name in inspected:
        script = f"for each in {names}; do command -v $each || true; done"
        found = engine.cli("exec", f"{running.project.name}-{name}-1", "sh", "-c", script).stdout
        assert found.split() == [], name


def test_every_named_volume_can_be_written(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """A volume that its service can't write to is a volume for nothing."""
    for name in inspected:
        for path in running.containers()[name][1].volumes.values():
            engine.cli(
                "exec", f"{running.project.name}-{name}-1", "sh", "-c", f"touch {path}/.probe && rm {path}/.probe"
            )


def test_networks_and_published_addresses(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Own bridge networks only; the documented port and no other is published, on loopback."""
    project = running.project.name
    for name, found in inspected.items():
        service, settings = running.containers()[name]
        networks = {f"{project}-{network}" for network in running.services[service].networks}
        assert set(found["NetworkSettings"]["Networks"]) == networks, name
        published = [
            (one["HostIp"], one["HostPort"]) for ports in found["HostConfig"]["PortBindings"].values() for one in ports
        ]
        assert published == [("127.0.0.1", str(settings.port))], name
    internal = json.loads(engine.cli("network", "inspect", f"{project}-internal").stdout)[0]
    assert internal["Internal"] is True


def test_no_secret_in_the_environment(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """No runtime secret's value is in any container's environment, labels, arguments or log."""
    values = [secrets.value(running, name) for name, kind in running.secrets.items() if kind == "random"]
    for name, found in inspected.items():
        text = json.dumps(found) + engine.cli("logs", f"{running.project.name}-{name}-1").stdout
        assert [value for value in values if value in text] == [], name


def test_no_secret_in_any_layer(running: Manifest, tmp_path: Path) -> None:
    """No runtime secret and no build secret's value is in an image's history or configuration."""
    values = [secrets.value(running, name) for name, kind in running.secrets.items() if kind == "random"]
    for image in images.recorded(running).values():
        text = engine.cli("history", "--no-trunc", image.reference).stdout
        text += engine.cli("image", "inspect", image.reference).stdout
        assert [value for value in values if value in text] == [], image.service
        assert "BEGIN CERTIFICATE" not in text, image.service


def test_every_container_runs_its_recorded_digest(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """What runs is name@digest of the record; no container was started from a tag."""
    recorded = images.recorded(running)
    for name, found in inspected.items():
        assert found["Config"]["Image"] == recorded[running.containers()[name][0]].reference, name


def test_smoke_and_story_pass(running: Manifest) -> None:
    """Every check of the manifest passes, and so does the story across the services."""
    ran = inv("smoke", "--json")

    assert ran.code == 0, ran.text
    results = json.loads(ran.stdout)
    assert [one for one in results if one["reason"]] == []
    if set(story.NEEDS) <= set(images.recorded(running)):
        assert "a changed file is triaged" in [one["check"] for one in results]


def test_every_log_line_is_one_json_object(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Each line of every service is JSON with time, level, service and event: what Fluentd needs, and no more."""
    for name in inspected:
        logs = engine.cli("logs", f"{running.project.name}-{name}-1")
        for line in (logs.stdout + logs.stderr).splitlines():
            event = json.loads(line)
            assert {"time", "level", "service", "event"} <= set(event), f"{name}: {line}"


def test_health_carries_no_secret_and_needs_none(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """/health, /ready and /metrics answer without a token."""
    for name in inspected:
        base = f"http://127.0.0.1:{running.containers()[name][1].port}"
        for path in ("/health", "/ready", "/metrics"):
            answer = httpx.get(base + path, timeout=10, trust_env=False)
            assert answer.status_code in {200, 503} if path == "/ready" else answer.status_code == 200, f"{name}{path}"


@pytest.mark.parametrize(
    ("container", "secret", "method", "path"),
    [
        ("powershell-modules", "powershell_token", "GET", "/modules"),
        ("langgraph-api", "langgraph_api_key", "GET", "/info"),
        ("autogen-groupchat", "autogen_token", "GET", "/agents"),
        ("mcp-docs", "mcp_token", "POST", "/mcp"),
        ("monitoring", "monitoring_token", "GET", "/events"),
    ],
)
def test_rotation_needs_no_restart(running: Manifest, container: str, secret: str, method: str, path: str) -> None:
    """The new value is accepted at once, the old one during the overlap, and refused after it; nothing restarts."""
    if running.containers()[container][0] not in images.recorded(running):
        pytest.skip(f"{container} can't be built here")
    url = f"http://127.0.0.1:{running.containers()[container][1].port}{path}"

    def refused(token: str) -> bool:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, url, headers=headers, timeout=10, trust_env=False).status_code == 401

    def settles(token: str, *, to: bool) -> bool:
        deadline = time.monotonic() + 5
        while refused(token) is not to and time.monotonic() < deadline:
            time.sleep(0.1)
        return refused(token) is to

    started = json.loads(engine.cli("inspect", f"{running.project.name}-{container}-1").stdout)[0]["State"]["StartedAt"]
    old = secrets.value(running, secret)
    secrets.rotate(running, secret)
    new = secrets.value(running, secret)
    assert settles(new, to=False)
    assert settles(old, to=False)
    file = secrets.folder(running) / secret
    mode = file.stat().st_mode
    file.chmod(0o600)
    with file.open("r+", encoding="utf-8") as opened:
        opened.write(f"{new}\n")
        opened.truncate()
    file.chmod(mode)

    assert settles(old, to=True)
    assert not refused(new)
    again = json.loads(engine.cli("inspect", f"{running.project.name}-{container}-1").stdout)[0]["State"]["StartedAt"]
    assert again == started


def _readme_commands() -> list[str]:
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith("    ")]


def test_every_command_of_the_readme_runs(running: Manifest) -> None:
    """Each command that the README shows for every day ends as it should, on a stack that is up.

    quickstart started that stack; `./inv test` and nox are what runs this test.
    """
    elsewhere = {"./inv quickstart", "./inv test", "nox", "nox -s smoke"}
    commands = [command for command in _readme_commands() if command not in elsewhere]
    assert len(commands) >= 8

    for command in commands:
        done = subprocess.run(command.split(), cwd=REPOSITORY, capture_output=True, text=True, check=False)
        # The doctor fails for what this machine lacks, build and scan name what can't be had or is refused: no tracebacks.
        allowed = {"./inv doctor": {0, 1}, "./inv build": {0, 13}}.get(command, {0})
        assert done.returncode in allowed, f"{command}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, command

    assert stack.status(running) == [], "the last of them is down"
    assert inv("up").code == 0


def test_mcp_smoke_refuses_a_wrong_token(running: Manifest) -> None:
    """The MCP check can fail: with a wrong token the same request is refused."""
    port = running.containers()["mcp-docs"][1].port
    with httpx.Client(timeout=10, trust_env=False) as http:
        reason = smoke._mcp(http, f"http://127.0.0.1:{port}/mcp", {"Authorization": "Bearer wrong"})

    assert "status 401" in reason


def test_sigterm_ends_each_service_in_time(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Every container stops on SIGTERM in well under ten seconds, never by SIGKILL; afterwards `up` heals the stack."""
    names = [f"{running.project.name}-{name}-1" for name in inspected]
    for name in names:
        started = time.monotonic()
        engine.cli("stop", "--time", "10", name)
        seconds = time.monotonic() - started
        state = json.loads(engine.cli("inspect", name).stdout)[0]["State"]
        assert state["ExitCode"] in {0, 143}, f"{name}: {state['ExitCode']}"
        assert seconds < 10, f"{name}: {seconds:.1f} s"

    ran = inv("up")

    assert ran.code == 0, ran.text


def test_the_manifest_is_the_shipped_one() -> None:
    """These tests speak of the six services of versions.toml."""
    assert len(loading.load(REPOSITORY, {}, local=False).services) == 6
