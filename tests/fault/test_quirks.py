"""Whole releases through the quirks of registries: as if they were not there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from tests.support.invariants import assert_invariants
from tests.support.policies import (
    cookies,
    elsewhere,
    head_answers,
    limited,
    pages,
    sometimes,
    without_digests,
)
from tests.support.proxy import Answer, Proxy, Rule
from tests.support.server import Registry, free_address
from tests.support.world import World

_READS = "^GET .*/(manifests|blobs|tags)/"
_PAGE = {"Content-Type": "text/html"}
QUIRKS: dict[str, Callable[[Proxy], list[Rule]]] = {
    "r1 session cookies": lambda _store: [cookies()],
    "r2 HEAD is 404": lambda _store: [head_answers(404)],
    "r2 HEAD is 405": lambda _store: [head_answers(405)],
    "r2 HEAD without a digest": lambda _store: [without_digests()],
    "r3 pages with relative links": lambda _store: [pages(2, absolute=False)],
    "r3 pages with absolute links": lambda _store: [pages(1, absolute=True)],
    "r4 content at another host": lambda store: [elsewhere(store)],
    "r5 few reads": lambda _store: [limited(30)],
    "c9 a web page now and then": lambda _store: [sometimes(_READS, Answer(200, _PAGE, b"<html>"))],
    "c9 another's 404 now and then": lambda _store: [sometimes(_READS, Answer(404, _PAGE, b"<html>"))],
    "c9 nothing now and then": lambda _store: [sometimes(_READS, Answer(200))],
    "c9 half of it now and then": lambda _store: [sometimes(_READS, None)],
}


_SAMPLES = ("r1 session cookies", "r2 HEAD is 404", "r3 pages with relative links", "r4 content at another host",
            "r5 few reads", "c9 another's 404 now and then")  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize with one quirk of each kind, and when many kills are tried with all of them."""
    if "quirk" in metafunc.fixturenames:
        many = metafunc.config.getoption("--kills", 20) > 20
        metafunc.parametrize("quirk", QUIRKS if many else _SAMPLES)


def test_registries_as_they_are(make_world: Callable[..., World], registry: Registry, proxy: Proxy, quirk: str) -> None:
    """Two releases, and the doctor's probe, go through each quirk as if it were not there."""
    with Proxy(free_address(f"127.6.0.{1 + os.getpid() % 250}"), registry.address) as store:
        world = make_world(proxy.address)
        proxy.rules = QUIRKS[quirk](store)
        for _ in range(2):
            world.clone.commit("one")
            ran = world.clone.release()
            assert ran.code == 0, ran.text
        policy = json.loads((world.clone.project.root / ".uc/registry-policy.json").read_text())

    assert (policy["immutable"], policy["floats"], policy["deletes"]) == (False, "client", True)
    assert set(world.public().git) == {"v0.1.0", "v0.1.1"}
    assert world.hub.tags(f"{world.namespace}/uc-probe") == []
    assert_invariants(world)
