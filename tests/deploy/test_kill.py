"""A deploy killed at any point: the status says where it stands, and the next command ends in one whole set.

`nox -s deploy -- --kills 100 --seed 1000` tries 100 seeds from 1000 on, instead of the few of a normal run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from tests.deploy.kills import (
    BOUNDARIES,
    END,
    OPEN,
    Lane,
    Tally,
    at_boundary,
    drawn,
    measure,
    parametrize_seeds,
    tallied,
)
from tests.support.coherent import assert_coherent, assert_whole, running
from tests.support.deploying import CONTAINERS, FIRST, PAIR_CHANGED, Site
from tests.support.samples import deep
from tests.support.steps import DEPLOY

SAMPLED = (*(at for at in OPEN if at != "data"), END)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize with the requested seeds."""
    parametrize_seeds(metafunc)


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Counts over all kills, kept in .uc/reports/deploy-kills.json."""
    yield from tallied("deploy-kills")


class ComposeLane(Lane):
    """A lane on this machine's engine."""

    def assert_whole(self, version: str) -> None:
        """Asked of the engine."""
        assert_whole(self.site, version)

    def assert_coherent(self, versions: Collection[str]) -> str:
        """Asked of the engine."""
        return assert_coherent(self.site, versions)

    def is_open(self) -> bool:
        """Asked of the engine."""
        kept = self.site.engine.kept(self.site.project)
        opened = {name.removesuffix("-open") for name in kept if name.endswith("-open")}
        return any(f"{name}-closed" not in kept for name in opened)  # an entry is closed before the open one goes

    def journal(self) -> list[dict[str, Any]]:
        """By `./inv deploys`."""
        entries: list[dict[str, Any]] = self.site.deploys()
        return entries

    def another(self) -> Site:
        """From another checkout."""
        return self.site.another()


@pytest.fixture(scope="module")
def kill_lane(make_site: Callable[..., Site], tally: Tally) -> Lane:
    """A site after two deploys, of which the second one was measured."""
    site = make_site(history="40")
    other = site.releases.variant(store="relabelled", web="relabelled")
    assert site.deploy(FIRST).code == 0
    deploy = site.start("deploy", other)
    ran = deploy.wait()
    assert ran.code == 0, ran.text
    return ComposeLane(site, (FIRST, other, PAIR_CHANGED), measure(deploy), tally)


@pytest.mark.parametrize("at", [*SAMPLED, *deep(*(at for at in BOUNDARIES if at not in SAMPLED))])
def test_killed_between_steps(kill_lane: Lane, at: str) -> None:
    """Killed as a step begins, or after the last one: the next command ends in one whole set."""
    kill_lane.guarded(at_boundary(at))


def test_killed_inside_steps(kill_lane: Lane, seed: int) -> None:
    """Killed at any moment, a deploy or a roll back, once or twice in a row: the same."""
    kill_lane.guarded(drawn(seed))


@pytest.mark.parametrize("after", ["deploy", *deep("rollback")])
def test_a_first_deploy_that_is_killed(site: Site, after: str) -> None:
    """A first deploy that was killed is finished by the next; a roll back gives it up, and has nothing to go back to."""
    deploy = site.start("deploy", FIRST)
    deploy.when("  pair-a: ", deploy.kill)
    assert deploy.wait().code == -9
    assert set(running(site)) <= set(CONTAINERS)
    assert site.status()["state"] == "open"

    if after == "rollback":
        ran = site.rollback()
        assert ran.code == 18, ran.text
        assert site.status()["state"] == "failed"
    ran = site.deploy(FIRST)

    assert ran.code == 0, ran.text
    assert_whole(site, FIRST)


def test_a_put_back_that_is_killed(kill_lane: Lane) -> None:
    """A deploy that fails and is killed while the old set is put back: the next command ends what is open."""
    kill_lane.killed_put_back(kill_lane.site.releases.variant(store="relabelled", pair="crash"))


def test_the_kills_came_in_time(tally: Tally) -> None:
    """Most kills hit a running deploy; kills that come too late would pass whatever a deploy does."""
    tally.assert_landed()
    assert set(DEPLOY.keys) >= tally.boundaries - {END}
