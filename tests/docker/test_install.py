"""Installing and starting an engine: read-only checks of the machine's engine, and daemons started by the tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from build.config.load import load
from build.config.manifest import Tools
from build.engine import client as docker
from build.engine import daemon, install
from build.errors import MissingTool
from tests.support.machine import as_root, lacking, own_namespaces
from tests.support.project import REPOSITORY

TOOLS = load(REPOSITORY, {}, local=False).tools
PLUGINS = Path("/usr/libexec/docker/cli-plugins")


@pytest.fixture(autouse=True)
def fresh_client() -> Iterator[None]:
    """Choose the docker binary again, before and after the test."""
    docker.forget()
    yield
    docker.forget()


def untouched() -> list[str]:
    """What an installation would change: the daemon, its configuration, apt's sources."""
    files = (Path("/run/docker.pid"), Path("/etc/docker/daemon.json"))
    sources = (path.name for path in Path("/etc/apt/sources.list.d").glob("*"))
    return [*(path.read_text() if path.exists() else "" for path in files), *sorted(sources)]


def test_an_engine_that_will_do_is_left_alone(docker_engine: dict[str, str]) -> None:
    """If everything is present, nothing is installed or written, with or without consent."""
    before = untouched()
    assert install.ensure(TOOLS, os.environ, yes=True, interactive=False) == docker_engine
    assert untouched() == before


def test_an_engine_that_is_too_old_is_not_replaced(docker_engine: dict[str, str]) -> None:
    """Consent to installing is not consent to replacing: the hint says how to upgrade."""
    before = untouched()
    with pytest.raises(MissingTool, match=rf"engine {docker_engine['engine']} is too old: 99\.0") as caught:
        install.ensure(Tools(engine="99.0", buildx="0", compose="0"), os.environ, yes=True, interactive=False)
    assert re.search(r"apt-get|Docker Desktop|https://", caught.value.hint)
    assert untouched() == before


def test_a_plugin_that_is_too_old_is_named_with_its_place(docker_engine: dict[str, str]) -> None:
    """The error names the plugin's path, so that its owner can find it."""
    with pytest.raises(MissingTool, match=r"buildx .* is too old: 99\.0") as caught:
        install.ensure(Tools(engine="0", buildx="99.0", compose="0"), os.environ, yes=True, interactive=False)
    assert "docker-buildx" in caught.value.hint


def test_a_dead_docker_host_is_not_ours_to_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DOCKER_HOST names an engine that the user chose: no other one is started."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone.sock")
    before = untouched()
    with pytest.raises(MissingTool, match=re.escape(f"DOCKER_HOST=unix://{tmp_path}/gone.sock")) as caught:
        install.ensure(TOOLS, os.environ, yes=True, interactive=False)
    assert "unset DOCKER_HOST" in caught.value.hint
    assert untouched() == before


def test_without_docker_on_path_it_asks_for_consent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without consent, no docker means exit code 7 and the command that installs it."""
    for name in ("apt-get", "dpkg-query", "sudo"):
        if Path(f"/usr/bin/{name}").exists():
            (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    before = untouched()
    with pytest.raises(MissingTool, match="docker is not installed or not on PATH") as caught:
        install.ensure(TOOLS, {**os.environ, "CI": ""}, yes=False, interactive=False)
    assert re.search(r"\./inv engine --yes|https://|install", caught.value.hint)
    assert untouched() == before


def test_missing_plugins_differ_from_a_missing_engine(docker_engine: dict[str, str]) -> None:
    """An engine without buildx: only the two plugins are offered."""
    if not PLUGINS.is_dir():
        lacking(f"needs the plugins in {PLUGINS}, where the distribution puts them")
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from build.engine import install; from build.errors import MissingTool; from build.config.manifest import Tools\n"
        "try: install.ensure(Tools(engine='1', buildx='0.1', compose='2'), {**os.environ, 'CI': ''}, yes=False, interactive=False)\n"
        "except MissingTool as error: print(error, '|', error.hint)\n"
    )
    hide = f'mount -t tmpfs tmpfs {PLUGINS} && exec "$@"'
    argv = [*own_namespaces(), "sh", "-c", hide, "sh", sys.executable, "-c", program, str(REPOSITORY)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "docker buildx is missing" in done.stdout, done.stderr
    assert re.search(r"docker-buildx(-plugin|/trixie| )", done.stdout)
    assert "docker.io" not in done.stdout


@contextlib.contextmanager
def bridge(root: list[str]) -> Iterator[str]:
    """A network bridge for one daemon, with an address from the range reserved for documentation (RFC 5737)."""
    name = f"uct{os.getpid() % 100000}"
    subprocess.run([*root, "ip", "link", "add", "name", name, "type", "bridge"], check=True)
    try:
        subprocess.run([*root, "ip", "address", "add", "198.51.100.1/24", "dev", name], check=True)
        yield name
    finally:
        subprocess.run([*root, "ip", "link", "delete", name], check=True)


Start = Callable[[], None]


@pytest.fixture
def second(docker_engine: dict[str, str]) -> Iterator[tuple[daemon.Daemon, Start]]:
    """A second daemon with its own files and bridge, and the function that starts it as root.

    Not "bridge": "none": that daemon would remove docker0, and with it the network of the machine's own engine.
    """
    root = as_root()
    with bridge(root) as link, tempfile.TemporaryDirectory(prefix="uc-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "daemon.json").write_text(json.dumps({"bridge": link, "iptables": False, "ip6tables": False}))
        own = daemon.Daemon(
            host=f"unix://{folder}/s",
            arguments=(
                "--host", f"unix://{folder}/s", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/run",
                "--pidfile", f"{folder}/pid", "--config-file", f"{folder}/daemon.json",
            ),
            pid_files=(folder / "pid", folder / "run/containerd/containerd.pid"),
            log=folder / "log",
        )  # fmt: skip
        yield own, partial(daemon.start, own, sudo=root)
        if own.pid_files[0].exists() and daemon._runs(own.pid_files[0]):
            subprocess.run([*root, "kill", own.pid_files[0].read_text()], check=True)
            until(lambda: not own.pid_files[0].exists())
        # A killed dockerd leaves its data folder bind-mounted on itself.
        subprocess.run([*root, "umount", "--lazy", folder / "data"], capture_output=True, check=False)
        subprocess.run([*root, "rm", "-rf", folder], check=True)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_stopped_daemon_is_started_past_stale_pid_files(second: tuple[daemon.Daemon, Start]) -> None:
    """After a crash other programs may have the pids and dockerd would refuse to start: stale files are removed first."""
    own, start = second
    with subprocess.Popen(["sleep", "600"]) as other:
        for path in own.pid_files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(other.pid))
        start()
        assert daemon._answers(own)
        assert other.poll() is None, "the process that the stale file named was not ours to end"
        pid = own.pid_files[0].read_text()
        start()
        assert own.pid_files[0].read_text() == pid, "a daemon that answers is left alone"
        other.kill()


def test_a_daemon_that_can_not_start_shows_its_log(second: tuple[daemon.Daemon, Start]) -> None:
    """The log's last lines, with the reason, are shown without waiting for the whole deadline."""
    own, start = second
    config = Path(own.arguments[-1])
    config.write_text('{"no-such-key": 1}')
    began = time.monotonic()
    with pytest.raises(MissingTool, match="did not start") as caught:
        start()
    assert "no-such-key" in caught.value.output
    assert str(own.log) in caught.value.hint
    assert time.monotonic() - began < 30
