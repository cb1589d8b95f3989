"""Other people's machines on the real engine: hostile variables, values with signs, ended builds, moments of ill health."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.deploy import start as deploy
from build.engine import client as docker
from build.stack import compose, status
from build.stack.status import Running
from tests.support.project import Project
from tests.support.stack import DOCKERFILE, add_server

HOSTILE = {
    "COMPOSE_PROJECT_NAME": "somebody-else", "COMPOSE_PROFILES": "none", "COMPOSE_FILE": "/nowhere.yaml",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x", "DOCKER_BUILDKIT": "0", "DOCKER_CONTENT_TRUST": "1",
    "BUILDX_BUILDER": "elsewhere", "BUILDKIT_PROGRESS": "rawjson", "SOURCE_DATE_EPOCH": "1", "LANGUAGE": "de",
    "GIT_DIR": "/nowhere", "TRIVY_SEVERITY": "LOW",
}  # fmt: skip
WRITTEN = "costs $5, ${HOME}, %{if}, $$ and $(id)"


def _toml(value: str) -> str:
    return json.dumps(value)


def test_e1_e5_a_stack_under_hostile_variables(stack_project: Project) -> None:
    """Built, started, shown and taken down by its own name; its values arrive as they are written."""
    dockerfile = DOCKERFILE.replace("USER", 'ARG PRICE\nRUN printf %s "$PRICE" >/app/price\nUSER')
    own = f"{{ PRICE = {_toml(WRITTEN)} }}"
    add_server(stack_project, "priced", dockerfile, args=own, environment=own)
    stack_project.commit("Add a service with a price")
    for arguments in (["build"], ["secrets.init"], ["up"]):
        ran = stack_project.inv(*arguments, timeout=240, **HOSTILE)
        assert ran.code == 0, ran.text
    manifest = stack_project.load()
    name = f"{manifest.project.name}-priced-1"
    show = "import os; print(os.environ['PRICE']); print(open('/app/price').read())"
    arrived = docker.cli("exec", name, "python3", "-c", show).stdout.splitlines()
    logs = stack_project.inv("logs", timeout=240, **HOSTILE)
    platform = json.loads(
        docker.cli("image", "inspect", docker.cli("inspect", "--format", "{{.Image}}", name).stdout.strip()).stdout
    )
    down = stack_project.inv("down", "--volumes", timeout=240, **HOSTILE)

    assert arrived == [WRITTEN, WRITTEN]
    assert (logs.code, "priced-1" in logs.stdout) == (0, True)
    assert platform[0]["Architecture"] != "s390x"
    assert (down.code, "stack removed" in down.stderr) == (0, True), down.text
    assert status.left(manifest, volumes=True) == []


def test_e1_down_says_so_only_when_nothing_is_left(built: Project) -> None:
    """A container of the stack that Compose does not remove is named, and the exit code is not 0."""
    assert built.inv("up").code == 0
    manifest = built.load()
    label = f"{status.LABEL}={manifest.project.name}"
    image = docker.cli("inspect", "--format", "{{.Image}}", f"{manifest.project.name}-one-1").stdout.strip()
    stray = f"{manifest.project.name}-stray"
    # Compose looks at more labels than one before it calls a container its own.
    docker.cli("create", "--name", stray, "--label", label, "--label", "com.docker.compose.service=stray", image)
    try:
        ran = built.inv("down")
    finally:
        docker.cli("rm", "--force", stray)

    assert ran.code == 4, ran.text
    assert f"the stack is not down: the engine still has container {stray}" in ran.stderr
    assert "stack removed" not in ran.stderr


def _bakes(definition: Path) -> list[str]:
    """The pids of the programs that bake this definition."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"bake" in words and str(definition).encode() in words:
                pids.append(entry.name)
    return pids


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_e8_an_ended_build_leaves_no_bake_behind(stack_project: Project, sent: signal.Signals, code: int) -> None:
    """docker and its plugin end with the task, ended politely or not."""
    stack_project.write("docker/one/Dockerfile", DOCKERFILE.replace("USER", f"RUN sleep 45 # {time.time()}\nUSER"))
    definition = stack_project.load().workspace.bake_definition
    with subprocess.Popen(
        stack_project.command("build", "--progress", "plain"), cwd=stack_project.root, env=stack_project.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as task:  # fmt: skip
        assert task.stdout
        assert any("RUN sleep" in line for line in task.stdout)
        assert _bakes(definition)
        ended = time.monotonic()
        task.send_signal(sent)
        output, _ = task.communicate(timeout=60)

    assert task.returncode == code, output
    while left := _bakes(definition):
        assert time.monotonic() - ended < 20, f"{left} run on"
        time.sleep(0.05)


# Unhealthy until the container is ten seconds old.
MOMENT = (
    "import os, sys; begun = int(open('/proc/1/stat').read().rpartition(')')[2].split()[19]) / os.sysconf('SC_CLK_TCK');"
    "print('not-well-yet'); sys.exit(float(open('/proc/uptime').read().split()[0]) - begun < 10)"
)


def test_e9_a_moment_of_ill_health_is_waited_out(stack_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that another waits for is unhealthy for a while: `up` goes on waiting, and all come up."""
    head, _, rest = DOCKERFILE.partition("HEALTHCHECK")
    check = f"HEALTHCHECK CMD {json.dumps(['python3', '-S', '-c', MOMENT])}\n"
    add_server(stack_project, "moment", f"{head}{check}ENTRYPOINT{rest.partition('ENTRYPOINT')[2]}")
    add_server(stack_project, "after", depends_on='["moment"]')
    stack_project.commit("Add services")
    for arguments in (["build"], ["secrets.init"]):
        assert stack_project.inv(*arguments).code == 0
    hasty = {"interval": "1s", "timeout": "3s", "retries": 1, "start_period": "0s", "start_interval": "1s"}
    monkeypatch.setattr(compose, "_healthcheck", lambda _check: hasty)
    manifest = stack_project.load()
    looks = []
    containers = status.containers

    def looked(manifest: Manifest) -> list[Running]:
        looks.append({container.name: container.health for container in containers(manifest)})
        return containers(manifest)

    monkeypatch.setattr(status, "containers", looked)
    running = deploy.start(manifest)

    assert "unhealthy" in {health for look in looks for health in look.values()}
    assert {container.name for container in running if container.healthy} == {"one", "two", "moment", "after"}
