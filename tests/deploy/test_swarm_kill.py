"""A deploy to a swarm that is killed at any point: the next command ends in one whole set, asked of the swarm itself.

`nox -s deploy -- --kills 100 --seed 1000` tries 100 seeds from 1000 on, instead of the few of a normal run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.deploy.kills import (
    BOUNDARIES,
    END,
    Kill,
    Lane,
    Tally,
    at_boundary,
    drawn,
    measure,
    parametrize_seeds,
    tallied,
)
from tests.support import small
from tests.support.deploying import Releases, Site
from tests.support.nodes import Nodes
from tests.support.on_swarm import OnSwarm
from tests.support.own_engine import until
from tests.support.samples import deep

SAMPLED = ("journal", "apply", "smoke", "done", END)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize with the requested seeds."""
    parametrize_seeds(metafunc)


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Counts over all kills, kept in .uc/reports/deploy-swarm-kills.json."""
    yield from tallied("deploy-swarm-kills")


@dataclass(slots=True)
class SwarmLane(Lane):
    """A lane on a swarm; its status is asked from elsewhere alone, as another program takes its seconds."""

    there: OnSwarm

    def assert_whole(self, version: str) -> None:
        """Asked of the swarm and of its nodes."""
        self.there.assert_whole(version)

    def assert_coherent(self, versions: Collection[str]) -> str:
        """Asked of the nodes."""
        return self.there.assert_coherent(versions)

    def is_open(self) -> bool:
        """Asked of the swarm."""
        return self.there.is_open()

    def journal(self) -> list[dict[str, Any]]:
        """Asked of the swarm."""
        return self.there.journal()

    def another(self) -> Site:
        """From another checkout, by another manager."""
        return self.there.through(self.there.nodes.all[2])

    def asks_status(self, kill: Kill) -> bool:
        """Whether it is from elsewhere."""
        return kill.elsewhere


@pytest.fixture(scope="module")
def kill_lane(small_site: Site, small_first: str, releases: Releases, swarm: Nodes, tally: Tally) -> SwarmLane:
    """A lane whose releases differ in one or two containers, after a deploy that was measured."""
    assert small_site.deploy(small_first).code == 0
    second, third = (small.changed(releases, small_first, services) for services in (("web", "store"), ("web",)))
    deploy = small_site.start("deploy", third)  # the shortest: kills are to come in time
    ran = deploy.wait()
    assert ran.code == 0, ran.text
    there = OnSwarm(small_site, swarm, {"pair-a": 2})
    return SwarmLane(small_site, (small_first, second, third), measure(deploy), tally, there)


@pytest.mark.parametrize("at", [*SAMPLED, *deep(*(at for at in BOUNDARIES if at not in SAMPLED))])
def test_killed_between_steps(kill_lane: Lane, at: str) -> None:
    """Killed as a step begins, or after the last one: the next command ends in one whole set."""
    kill_lane.guarded(at_boundary(at))


def test_killed_while_images_are_pulled(kill_lane: SwarmLane, tally: Tally) -> None:
    """Nothing is touched yet; the services that were to pull on every node go with the next deploy."""
    before, wanted, _ = kill_lane.at_rest()
    deploy = kill_lane.site.start("deploy", wanted)
    until(lambda: bool(kill_lane.there.trials()), 60, lambda: "nothing is pulled")
    deploy.kill()
    assert deploy.wait().code == -9
    tally.add(Kill(at="pull"), deploy, killed=True, opened=False)
    assert kill_lane.there.trials(), "what pulls ends by itself"
    assert kill_lane.assert_coherent([before, wanted]) == before

    ran = kill_lane.site.deploy(wanted)

    assert ran.code == 0, ran.text
    kill_lane.assert_whole(wanted)


def test_killed_inside_steps(kill_lane: Lane, seed: int) -> None:
    """Killed at any moment, a deploy or a roll back, once or twice in a row: the same."""
    kill_lane.guarded(drawn(seed))


@pytest.mark.deep
def test_a_put_back_that_is_killed(kill_lane: Lane, releases: Releases) -> None:
    """A deploy that fails and is killed while the old set is put back: the next command ends what is open."""
    before, *_ = kill_lane.at_rest()
    kill_lane.killed_put_back(small.changed(releases, before, ["web"], way="crash"))


def test_the_kills_came_in_time(tally: Tally) -> None:
    """Most kills hit a running deploy; kills that come too late would pass whatever a deploy does."""
    tally.assert_landed()
