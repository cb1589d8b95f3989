"""Invariants of a deploy target, asked of its engine without the library: one whole set, and nothing left of the way."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Collection
from typing import Any

from tests.support.deployed import Live
from tests.support.deploying import CONTAINERS, Site


def running(site: Site) -> dict[str, Live]:
    """The containers of the site."""
    return site.engine.containers(site.project)


def started(site: Site) -> dict[str, str]:
    """When each container was created and started: the same for one that nobody touched."""
    return {name: f"{live.id} {live.started}" for name, live in running(site).items()}


def touched(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The containers that were started, stopped or replaced in between."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def services_of(site: Site, version: str, live: dict[str, Live]) -> set[str]:
    """The containers that run the image which a release has for them."""
    digests = site.releases.digests(version)
    return {name for name, one in live.items() if digests[CONTAINERS[name]] in one.digests}


def assert_whole(site: Site, version: str) -> None:
    """Assert that exactly the release's set runs, healthy, and that no deploy left anything on its way."""
    live = running(site)
    assert set(live) == set(CONTAINERS), f"it runs {sorted(live)}"
    states = {name: f"{one.state}, {one.health}" for name, one in live.items()}
    assert set(states.values()) == {"running, healthy"}, states
    other = set(CONTAINERS) - services_of(site, version, live)
    assert not other, f"not of {version}: {', '.join(sorted(other))}"
    assert {name: one.restarts for name, one in live.items() if one.restarts} == {}
    assert_at_rest(site)


def assert_at_rest(site: Site) -> None:
    """Assert that nothing is left of an interrupted deploy: no container, no lock, no open entry of the journal."""
    live = running(site)
    leftovers = site.engine.named(site.project) | site.engine.mounting(site.project)
    leftovers -= {one.container for one in live.values()}
    assert leftovers == set(), f"left: {sorted(leftovers)}"
    created = [one.container for one in live.values() if one.state == "created"]
    assert created == [], f"never started: {created}"
    kept = site.engine.kept(site.project)
    held = {name for name in kept if name.startswith("container ")}
    assert held == set(), f"a lock is left: {sorted(held)}"
    opened = {name for name in kept if name.endswith("-open")}
    assert opened == set(), f"open: {sorted(opened)}"


def assert_coherent(site: Site, versions: Collection[str]) -> str:
    """Assert that the set which runs is wholly that of one of these releases; return which."""
    live = running(site)
    matching = [version for version in versions if services_of(site, version, live) == set(CONTAINERS)]
    digests = {name: sorted(one.digests) for name, one in live.items()}
    assert matching, f"no release of {', '.join(versions)} has this set: {digests}"
    return matching[0]


def report(site: Site, container: str) -> Any:
    """What the container itself answers with."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(site.url(container), timeout=5) as answer:
        return json.load(answer)
