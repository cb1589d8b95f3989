"""Requests to a set on a swarm while it changes: none fails where the new one starts first, and the others are counted.

Each asks all nodes in turn, as a load balancer does: a port is that of the nodes which run the container. No node drains
a connection: what ends refuses new ones, and that its open ones are answered is up to the image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import small
from tests.support.deploying import CONTAINERS, Releases
from tests.support.load import Load
from tests.support.on_swarm import OnSwarm
from tests.support.project import REPOSITORY

_RATE = 50


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[str, Any]]:
    """What was measured, kept in .uc/reports/deploy-swarm-load.json."""
    result: dict[str, Any] = {}
    yield result
    path = REPOSITORY / ".uc" / "reports" / "deploy-swarm-load.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _load(there: OnSwarm, *containers: str) -> Load:
    """Requests to these containers, by every node of the swarm."""
    ports = there.site.ports
    urls = {name: [f"http://{node.ip}:{ports[name]}/" for node in there.nodes.all[:3]] for name in containers}
    return Load(urls, rate=_RATE, timeout=10)


def _assert_none_failed(load: Load, *containers: str) -> None:
    for name in containers:
        answers = load.answers[name]
        assert answers.sent > _RATE
        assert answers.failures == [], f"{name}: {answers}"


def test_no_request_fails_where_the_new_one_starts_first(
    small_swarm: OnSwarm, releases: Releases, small_first: str, measured: dict[str, Any]
) -> None:
    """An update and its roll back: none of two replicas' or of a single one, and none of what is not touched."""
    version = small.changed(releases, small_first, ["pair"])
    for words in (("deploy", version), ("rollback",)):
        with _load(small_swarm, *CONTAINERS) as load:
            ran = small_swarm.site.inv(*words, "--json")
        assert ran.code == 0, ran.text
        measured[words[0]] = {name: answers.report for name, answers in load.answers.items()}
        _assert_none_failed(load, *CONTAINERS)
    small_swarm.assert_whole(small_first)


def test_no_request_fails_while_a_secret_is_renewed(
    small_swarm: OnSwarm, small_first: str, measured: dict[str, Any]
) -> None:
    """The containers that use it are replaced; each new one starts first."""
    before = small_swarm.live()
    with _load(small_swarm, *CONTAINERS) as load:
        ran = small_swarm.site.inv("secrets.rotate", "beta", "--target", "here")
    assert ran.code == 0, ran.text
    measured["rotation"] = {name: answers.report for name, answers in load.answers.items()}
    _assert_none_failed(load, *CONTAINERS)
    after = small_swarm.live()
    replaced = {name for name in CONTAINERS if {one.id for one in before[name]} != {one.id for one in after[name]}}
    assert replaced == {"pair-a", "pair-b"}
    small_swarm.assert_whole(small_first)


def test_what_stops_first_has_its_seconds_and_nothing_else_has(
    small_swarm: OnSwarm, releases: Releases, small_first: str, measured: dict[str, Any]
) -> None:
    """A container with a volume is down while it is replaced, once; how long is in the report."""
    version = small.changed(releases, small_first, ["store"])
    with _load(small_swarm, *CONTAINERS) as load:
        ran = small_swarm.site.deploy(version)
    assert ran.code == 0, ran.text
    measured["stop-first"] = {name: answers.report for name, answers in load.answers.items()}
    _assert_none_failed(load, *(set(CONTAINERS) - {"store"}))
    store = load.answers["store"]
    assert len(store.windows) == 1, str(store)
    assert store.windows[0][1] < store.sent / _RATE - 0.5, "it answers again"
