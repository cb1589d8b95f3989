"""The hardening of the running containers, as the engine and the kernel report it, and who can reach whom."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import pytest

from build.config.load import load
from build.config.manifest import Manifest
from build.engine import client as docker
from build.images import store
from build.stack import evidence, secrets
from tests.stack.live import Live
from tests.support.project import REPOSITORY

pytestmark = pytest.mark.timeout(1800)

# Run in a container on the default bridge: prints which of the given addresses accept connections.
_KNOCK = """\
import concurrent.futures, socket, sys
def knock(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return ""
    return address
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(*filter(None, pool.map(knock, sys.argv[1:])))
"""


def test_every_container_of_the_manifest_runs(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """All containers of services with an image are running; if every base is available, that is all nine."""
    built = store.recorded(running)
    expected = {name for name, (service, _) in running.containers().items() if service in built}

    assert set(inspected) == expected
    assert len(built) >= 5


def test_user_capabilities_and_filesystem(inspected: dict[str, dict[str, Any]]) -> None:
    """Every container has a numeric non-root user, no capabilities, no new privileges and a read-only root."""
    for name, found in inspected.items():
        host = found["HostConfig"]
        assert found["Config"]["User"] == "10001:10001", name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["ReadonlyRootfs"] is True, name
        assert host["Privileged"] is False, name
        assert host["Memory"] > 0, name
        assert host["NanoCpus"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["Devices"] in (None, []), name
        assert host["PidMode"] == "", name
        assert host["IpcMode"] == "private", name
        assert host["NetworkMode"].startswith(found["Config"]["Labels"]["com.docker.compose.project"]), name


def test_mounts_are_volumes_secrets_and_read_only_trees(
    running: Manifest, inspected: dict[str, dict[str, Any]]
) -> None:
    """A container can write to its named volumes and to nothing else on the host; none mounts the Docker socket."""
    for name, found in inspected.items():
        service, settings = running.containers()[name]
        release = {folder} if (folder := running.services[service].release_folder) else set()
        bound = {mount["Destination"] for mount in found["Mounts"] if mount["Type"] == "bind"}
        writable = {mount["Destination"] for mount in found["Mounts"] if mount["RW"] and mount["Type"] != "tmpfs"}
        secret_paths = {f"/run/secrets/{secret}" for secret in settings.secrets}
        assert bound == secret_paths | set(settings.mounts.values()) | release, name
        assert writable - secret_paths == set(settings.volumes.values()), name


def test_the_kernel_agrees(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Process 1 of every container runs as 10001 without effective capabilities, and can't write to its root."""
    for name in inspected:
        status = docker.cli("exec", f"{running.project.name}-{name}-1", "cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] == "10001", name
        assert int(fields["CapEff"], 16) == 0, name
        assert fields["NoNewPrivs"] == "1", name
        written = subprocess.run(
            [docker.docker(), "exec", f"{running.project.name}-{name}-1", "sh", "-c", "echo x > /uc-probe"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert written.returncode != 0, name
        assert "Read-only file system" in written.stderr, name


def test_no_runtime_image_can_install_or_compile(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Build tools are not in the image: no language package manager, no compiler."""
    names = "npm npx corepack yarn pip pip3 uv gcc cc make"
    for name in inspected:
        script = f"for each in {names}; do command -v $each || true; done"
        tools = docker.cli("exec", f"{running.project.name}-{name}-1", "sh", "-c", script).stdout
        assert tools.split() == [], name


def test_every_named_volume_can_be_written(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Every service can write to its named volumes."""
    for name in inspected:
        for path in running.containers()[name][1].volumes.values():
            docker.cli(
                "exec", f"{running.project.name}-{name}-1", "sh", "-c", f"touch {path}/.probe && rm {path}/.probe"
            )


def test_networks_and_published_addresses(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Containers use only their own bridge networks; only the documented port is published, on loopback."""
    project = running.project.name
    for name, found in inspected.items():
        service, settings = running.containers()[name]
        networks = {f"{project}-{network}" for network in running.services[service].networks}
        assert set(found["NetworkSettings"]["Networks"]) == networks, name
        published = [
            (one["HostIp"], one["HostPort"]) for ports in found["HostConfig"]["PortBindings"].values() for one in ports
        ]
        assert published == [("127.0.0.1", str(settings.published))], name
    internal = json.loads(docker.cli("network", "inspect", f"{project}-internal").stdout)[0]
    assert internal["Internal"] is True


def test_other_networks_cannot_reach_a_container(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """A container on another network can't reach ours, neither on the edge nor on the internal network."""
    targets = [
        f"{network['IPAddress']}:{running.services[running.containers()[name][0]].port}"
        for name, found in inspected.items()
        for network in found["NetworkSettings"]["Networks"].values()
    ]
    assert len(targets) == sum(len(running.services[running.containers()[name][0]].networks) for name in inspected)
    image = store.recorded(running)["monitoring"].reference
    knock = ("--rm", "--entrypoint", "python3", image, "-c", _KNOCK)
    member = f"{running.project.name}-internal"

    outside = docker.cli("run", "--network", "bridge", *knock, *targets).stdout.split()
    inside = docker.cli("run", "--network", member, *knock, *targets).stdout.split()

    assert outside == []
    assert inside, "the same question from inside is answered, so it was a fair one"


def test_the_internal_network_has_no_way_out(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """A container on only the internal network reaches no other network and no port of this machine."""
    image = store.recorded(running)["monitoring"].reference
    bridge = json.loads(docker.cli("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"][0]["Gateway"]
    with socket.create_server((bridge, 0)) as server:
        address = f"{bridge}:{server.getsockname()[1]}"
        knock = ("--rm", "--entrypoint", "python3", image, "-c", _KNOCK, address)

        allowed = docker.cli("run", "--network", "bridge", *knock).stdout.split()
        refused = docker.cli("run", "--network", f"{running.project.name}-internal", *knock).stdout.split()

    assert allowed == [address]
    assert refused == []


def test_published_ports_are_on_loopback_only(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """A published port answers on 127.0.0.1 and on no other address of this machine."""
    bridge = json.loads(docker.cli("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"][0]["Gateway"]
    for name in inspected:
        port = running.containers()[name][1].published
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((bridge, port), timeout=2)


def test_no_secret_in_the_environment(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """No runtime secret is in any container's environment, labels, arguments or log."""
    values = [secrets.value(running, name) for name, kind in running.secrets.items() if kind == "random"]
    for name, found in inspected.items():
        text = json.dumps(found) + evidence.log(running, name)
        assert [value for value in values if value in text] == [], name


def test_no_secret_in_any_layer(running: Manifest) -> None:
    """No runtime secret or build secret is in an image's history or configuration."""
    values = [secrets.value(running, name) for name, kind in running.secrets.items() if kind == "random"]
    for image in store.recorded(running).values():
        text = docker.cli("history", "--no-trunc", image.reference).stdout
        text += docker.cli("image", "inspect", image.reference).stdout
        assert [value for value in values if value in text] == [], image.service
        assert "BEGIN CERTIFICATE" not in text, image.service


def test_every_container_runs_its_recorded_digest(running: Manifest, inspected: dict[str, dict[str, Any]]) -> None:
    """Every container runs name@digest of the record; none was started from a tag."""
    recorded = store.recorded(running)
    for name, found in inspected.items():
        assert found["Config"]["Image"] == recorded[running.containers()[name][0]].reference, name


def test_the_manifest_is_the_shipped_one(running: Manifest) -> None:
    """These tests speak of the services of versions.toml: no setting of this machine adds or removes one."""
    assert set(running.containers()) == set(load(REPOSITORY, {}, local=False).containers())


def test_every_log_line_is_one_json_object(live: Live) -> None:
    """Each line of every container is JSON with time, level, its own name as service, and event: what Fluentd needs."""
    assert len(live.names()) >= 8
    assert live.bad_log_lines() == []


def test_probes_need_no_token(live: Live) -> None:
    """/health, /ready and /metrics answer without a token."""
    for name in live.names():
        for path in ("/health", "/ready", "/metrics"):
            answer = live.http.get(live.url(name, path))
            assert answer.status_code in {200, 503} if path == "/ready" else answer.status_code == 200, f"{name}{path}"
