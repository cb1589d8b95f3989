"""The stack as an operator's own tools see it: a real Prometheus, and a receiver of Fluentd's protocol."""

from __future__ import annotations

import json
import socketserver
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgpack  # type: ignore[import-untyped]
import pytest
import yaml

from build.config.manifest import Manifest
from build.images import store
from build.stack import status
from tests.stack.live import inv
from tests.support.debian import Program, program
from tests.support.project import REPOSITORY
from tests.support.stack import free_port

pytestmark = pytest.mark.timeout(1200)
EXAMPLE = REPOSITORY / "docs/pages/operating/prometheus.yml"


def _eventually(condition: Callable[[], Any], seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)
    return answer


def _get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10, trust_env=False)


@pytest.fixture
def ports(running: Manifest) -> dict[str, int]:
    """The published port of every container that has an image."""
    built = store.recorded(running)
    return {name: one.published for name, (service, one) in running.containers().items() if service in built}


@pytest.fixture(scope="module")
def prometheus() -> Program:
    """This machine's Prometheus, otherwise Debian's, unpacked for the tests."""
    return program("prometheus", "prometheus", "usr/bin/prometheus")


@pytest.fixture(scope="module")
def promtool() -> Program:
    """The checker that comes with Prometheus."""
    return program("prometheus", "promtool", "usr/bin/promtool")


def _promtool(tool: Program, *arguments: str, given: str = "") -> str:
    """Return promtool's complaints, empty if there are none."""
    argv = [tool.path, "check", *arguments]
    done = subprocess.run(argv, env=tool.environment, input=given, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_promtool_accepts_the_example_and_every_exposition(promtool: Program, ports: dict[str, int]) -> None:
    """The example is a valid configuration, and promtool has no complaint about any container's /metrics."""
    assert _promtool(promtool, "config", str(EXAMPLE)) == ""
    complaints = {
        name: _promtool(promtool, "metrics", given=_get(port, "/metrics").text) for name, port in ports.items()
    }

    assert complaints == dict.fromkeys(ports, "")


def test_prometheus_scrapes_every_container(prometheus: Program, ports: dict[str, int], tmp_path: Path) -> None:
    """A real Prometheus with the documentation's example has up == 1 for each container, and no target is missing."""
    example = EXAMPLE.read_text(encoding="utf-8")
    jobs = yaml.safe_load(example)["scrape_configs"][0]["static_configs"]
    assert {one["labels"]["container"]: one["targets"] for one in jobs if one["labels"]["container"] in ports} == {
        name: [f"127.0.0.1:{port}"] for name, port in ports.items()
    }
    config = tmp_path / "prometheus.yml"
    config.write_text(example.replace("scrape_interval: 15s", "scrape_interval: 5s"))
    port = free_port()
    options = (
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([prometheus.path, *options], env=prometheus.environment, stdout=log, stderr=log)

    def up() -> dict[str, str]:
        try:
            found = _get(port, "/api/v1/query?query=up").json()["data"]["result"]
        except (httpx.TransportError, KeyError, ValueError):
            return {}
        return {one["metric"]["container"]: one["value"][1] for one in found if one["metric"]["container"] in ports}

    try:
        _eventually(lambda: up() == dict.fromkeys(ports, "1"), 90)
    finally:
        process.terminate()
        process.wait(20)


class Receiver:
    """A server of Fluentd's forward protocol; `records` are those of each tag."""

    def __init__(self) -> None:
        self.records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        receiver = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                unpacker = msgpack.Unpacker(timestamp=0)
                while received := self.request.recv(65536):
                    unpacker.feed(received)
                    for tag, _time, record, *_options in unpacker:
                        receiver.records[tag].append(record)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Connection)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(running: Manifest) -> Iterator[Receiver]:
    """A receiver for the logs of the whole stack; afterwards the stack logs to files again."""
    receiver = Receiver()
    ran = inv("up", "--fluentd", FLUENTD_ADDRESS=receiver.address)
    assert ran.code == 0, ran.text
    yield receiver
    receiver.close()
    ran = inv("up")
    assert ran.code == 0, ran.text


def test_fluentd_gets_every_container_s_events(running: Manifest, receiver: Receiver, ports: dict[str, int]) -> None:
    """Each container's lines arrive under its own tag as JSON with the common keys; the stack survives the receiver."""
    for port in ports.values():
        _get(port, "/not-there")

    tags = {f"{running.project.name}.{running.project.name}-{name}-1": name for name in ports}
    _eventually(lambda: set(receiver.records) >= set(tags))
    for tag, name in tags.items():
        events = [json.loads(record["log"]) for record in receiver.records[tag]]
        assert all({"time", "level", "service", "event"} <= event.keys() for event in events), tag
        assert {event["service"] for event in events} == {name}

    receiver.close()
    for port in ports.values():
        assert _get(port, "/health").status_code == 200
        _get(port, "/not-there")
    assert {one.state for one in status.containers(running)} == {"running"}
