"""The stack on the real engine: up and down, ports, dependencies, interrupts, the Fluentd overlay."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable

from build.engine import client as docker
from build.images import store
from build.stack import evidence, status
from tests.support.project import Project
from tests.support.stack import DOCKERFILE, HEALTH_VERDICT, add_server


def _states(project: Project) -> dict[str, str]:
    return {container.name: container.state for container in status.containers(project.load())}


def test_up_runs_the_recorded_digests_and_waits_for_health(built: Project) -> None:
    """After `up` every container is healthy and runs name@digest of the record, never a tag."""
    ran = built.inv("up", "--json")

    assert ran.code == 0, ran.text
    recorded = store.recorded(built.load())
    shown = {container["name"]: container for container in ran.result}
    assert {name: container["image"] for name, container in shown.items()} == {
        name: image.reference for name, image in recorded.items()
    }
    assert {container["health"] for container in shown.values()} == {"healthy"}


def test_containers_are_those_that_the_engine_has(built: Project) -> None:
    """One that was removed is not shown, one that the manifest no longer has is, and the order is the manifest's."""
    assert built.inv("up").code == 0
    manifest = built.load()
    image = next(iter(store.recorded(manifest).values())).reference
    docker.cli("rm", "--force", f"{manifest.project.name}-one-1")
    labels = [f"{status.LABEL}={manifest.project.name}", "com.docker.compose.service=former"]
    former = docker.cli("create", *(word for label in labels for word in ("--label", label)), "--read-only", image)
    shown = _states(built)
    docker.cli("rm", former.stdout.strip())

    assert shown == {"two": "running", "former": "created"}
    assert list(shown) == ["two", "former"]
    assert list(_states(built)) == ["two"]


def test_u12_logs_are_plain_in_a_pipe(built: Project) -> None:
    """What is piped has no escape codes, with nothing said about colours; a name needs no flag."""
    assert built.inv("up").code == 0
    environment = built.environment()
    del environment["NO_COLOR"]
    done = subprocess.run(
        built.command("logs", "one", "--tail", "5"), cwd=built.root, env=environment | {"TERM": "xterm-256color"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.count("one-1") >= 1
    assert "two-1" not in done.stdout
    assert "\x1b" not in done.stdout


def test_u16_logs_are_records_for_a_program(built: Project) -> None:
    """With --json each line has its container, the time and the text alone; what is followed has no document."""
    assert built.inv("up").code == 0
    lines = built.inv("logs", "--tail", "5", "--json").result

    assert {line["container"] for line in lines} == {"one", "two"}
    assert lines == sorted(lines, key=lambda line: line["time"])
    assert all(json.loads(line["text"]) for line in lines)
    refused = built.inv("logs", "--follow", "--json")
    assert (refused.code, refused.document["error"]["kind"]) == (1, "usage")


def test_down_removes_everything_but_the_data(built: Project) -> None:
    """`down` leaves no container and no network, and keeps the volumes; `down --volumes` takes those too."""
    assert built.inv("up").code == 0
    project = built.load().project.name

    assert built.inv("down").code == 0
    kept = docker.cli("volume", "ls", "-q", "--filter", f"name={project}-").stdout.split()
    assert _states(built) == {}
    assert sorted(kept) == [f"{project}-one-data", f"{project}-two-data"]
    assert docker.cli("network", "ls", "-q", "--filter", f"name={project}-").stdout == ""

    assert built.inv("down", "--volumes").code == 0
    assert docker.cli("volume", "ls", "-q", "--filter", f"name={project}-").stdout == ""


def test_down_twice_is_not_an_error(built: Project) -> None:
    """Removing a stack that is not there says so and succeeds."""
    ran = built.inv("down")

    assert ran.code == 0
    assert "nothing was running" in ran.text


def test_up_before_build_says_build(stack_project: Project) -> None:
    """Without images `up` names the command that builds them."""
    ran = stack_project.inv("up")

    assert ran.code == 13
    assert "./inv build" in ran.stderr


def test_a_taken_port_is_named_with_its_owner(built: Project) -> None:
    """A port that another process holds stops `up` before anything starts: exit 12, port, service and process."""
    port = built.load().containers()["one"][1].published
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        ran = built.inv("up")

    assert ran.code == 12, ran.text
    assert f"port {port} of one is taken by" in ran.stderr
    assert str(os.getpid()) in ran.stderr
    assert _states(built) == {}


def test_up_of_one_service_leaves_the_others_alone(built: Project) -> None:
    """`up --service` starts what it names, with what that depends on, and removes nothing."""
    assert built.inv("up", "--service", "one").code == 0
    assert _states(built) == {"one": "running"}

    assert built.inv("up", "--service", "two").code == 0

    assert _states(built) == {"one": "running", "two": "running"}


def test_a_dependency_comes_along(stack_project: Project) -> None:
    """Naming a service starts what it depends on, first."""
    add_server(stack_project, "three", depends_on='["one"]')
    stack_project.commit("Add a service that depends on one")
    for arguments in (["build"], ["secrets.init"]):
        assert stack_project.inv(*arguments).code == 0

    ran = stack_project.inv("up", "--service", "three")

    assert ran.code == 0, ran.text
    assert _states(stack_project) == {"one": "running", "three": "running"}


def test_fluentd_overlay_starts_and_stops_without_a_fluentd(built: Project) -> None:
    """With --fluentd and no listener on its port the stack starts, is healthy, and stops cleanly."""
    ran = built.inv("up", "--fluentd", FLUENTD_ADDRESS="127.0.0.1:1")
    driver = docker.cli(
        "inspect", "--format", "{{.HostConfig.LogConfig.Type}}", f"{built.load().project.name}-one-1"
    ).stdout.strip()

    assert ran.code == 0, ran.text
    assert driver == "fluentd"
    assert built.inv("down").code == 0
    assert _states(built) == {}


def _until(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def _create_late(project: Project) -> str:
    """Create a container of the project's stack, as the engine does when Compose that asked for it is gone; its id."""
    manifest = project.load()
    compose = {"project": manifest.project.name, "service": "one", "oneoff": "False", "config-hash": "late"}
    labels = [part for key, value in compose.items() for part in ("--label", f"com.docker.compose.{key}={value}")]
    return docker.cli("create", *labels, store.recorded(manifest)["one"].reference).stdout.strip()


def test_status_while_containers_are_removed(built: Project) -> None:
    """A container that is removed between listing and inspecting is not a failure."""
    identifiers = [_create_late(built) for _ in range(12)]
    with subprocess.Popen([docker.docker(), "rm", *identifiers], stdout=subprocess.DEVNULL) as remove:
        while _states(built):
            pass

    assert remove.returncode == 0


def test_ctrl_c_in_up_leaves_no_half_stack(stack_project: Project) -> None:
    """An interrupt while the stack starts removes what has started: exit 130, no traceback, no container.

    Not even a container that the engine finishes creating after the others were removed.
    """
    slow = DOCKERFILE.replace(HEALTH_VERDICT, "sys.exit(1)")
    add_server(stack_project, "slow", slow)
    stack_project.commit("Add a slow service")
    for arguments in (["build"], ["secrets.init"]):
        assert stack_project.inv(*arguments).code == 0
    process = subprocess.Popen(
        stack_project.command("up"), cwd=stack_project.root, env=stack_project.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    _until(lambda: "slow" in _states(stack_project))
    process.send_signal(signal.SIGINT)
    assert process.stdout
    with process.stdout as stream:
        output = ""
        while "taking the half-started stack down" not in output:
            output += (line := stream.readline())
            assert line, output
        _until(lambda: "slow" not in _states(stack_project))
        _create_late(stack_project)
        output += stream.read()

    assert process.wait(30) == 130, output
    assert "Traceback" not in output
    assert _states(stack_project) == {}


def test_ctrl_c_in_smoke_ends_at_once(built: Project) -> None:
    """An interrupt of a smoke run ends with 130 long before its checks would give up, and leaves the stack as it is."""
    assert built.inv("up").code == 0
    manifest_file = built.root / "versions.toml"
    wrong = manifest_file.read_text().replace('{ status = "healthy" }', '{ status = "never" }')
    manifest_file.write_text(wrong.replace("deadline_seconds = 5", "deadline_seconds = 60"))
    process = subprocess.Popen(
        built.command("smoke"), cwd=built.root, env=built.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    _until(lambda: all('"path": "/x"' in evidence.log(built.load(), name) for name in ("one", "two")))
    interrupted = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)

    assert time.monotonic() - interrupted < 20
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert set(_states(built).values()) == {"running"}
