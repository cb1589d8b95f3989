"""Concurrent releases from separate clones: one owner for each version, and correct floats."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.invariants import assert_invariants
from tests.support.project import Ran
from tests.support.proxy import Answer, Proxy, Request, Rule
from tests.support.steps import begins
from tests.support.world import FAST, Clone, World, clean

BRANCHES = '["main", "race-*"]'


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world whose branches for a race may release."""
    return make_world(branches=BRANCHES)


def _prepare(world: World, count: int) -> list[Clone]:
    """Create a world with a release, and this many clones of it, each with a commit of its own on a branch."""
    assert world.clone.release().code == 0
    clones = [world.another() for _ in range(count)]
    for number, clone in enumerate(clones):
        clone.git("switch", "--quiet", "--create", f"race-{number}")
        clone.commit("one", "fix: mine")
    return clones


def _race(clones: list[Clone], bumps: list[str]) -> list[Ran]:
    running = [clone.start("release", *FAST, "--bump", bump) for clone, bump in zip(clones, bumps, strict=True)]
    return [task.wait(400) for task in running]


def _assert_one_owner_each(world: World, clones: list[Clone], ran: list[Ran]) -> None:
    """Assert that winners published what they built, and that losers exited with 15, gave a reason, and left nothing."""
    for result in ran:
        assert result.code in {0, 15}, result.text
        if result.code == 15:
            assert clean(result.stderr), result.text
            assert "nothing of" in result.stderr, result.text
    won = [clone for clone, result in zip(clones, ran, strict=True) if result.code == 0]
    tags = set(world.public().git) - {"v0.1.0"}
    owners = [world.record(tag)["commit"] for tag in tags]
    assert sorted(owners) == sorted(clone.git("rev-parse", "HEAD") for clone in won)
    assert_invariants(world)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run one round, or four when many kills are tried."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(4 if metafunc.config.getoption("--kills", 20) > 20 else 1))


@pytest.mark.parametrize("count", [2, 8])
def test_releases_of_the_same_bump(world: World, count: int, seed: int) -> None:
    """Exactly one gets the version."""
    clones = _prepare(world, count)

    ran = _race(clones, ["patch"] * count)

    _assert_one_owner_each(world, clones, ran)
    codes = Counter(result.code for result in ran)
    # A release that starts late plans after the winner's claim and correctly gets the next version.
    assert codes[0] >= 1
    assert len(set(world.public().git)) == 1 + codes[0]


@pytest.mark.parametrize("count", [2, 8])
def test_releases_of_different_bumps(world: World, count: int, seed: int) -> None:
    """Each version has one owner, and X.Y and X name the highest, whichever finished last."""
    dice = random.Random(seed * 10 + count)
    clones = _prepare(world, count)
    bumps = [("patch", "minor", "major")[number % 3] for number in range(count)]
    dice.shuffle(bumps)

    ran = _race(clones, bumps)

    _assert_one_owner_each(world, clones, ran)
    assert Counter(result.code for result in ran)[0] >= len(set(bumps))


def test_a_racer_is_killed_and_another_finishes_it(world: World, seed: int) -> None:
    """A release killed after its claim still owns its version; the next run, by anyone, finishes it."""
    dice = random.Random(seed)
    clones = _prepare(world, 3)
    running = [
        clone.start("release", *FAST, "--bump", bump)
        for clone, bump in zip(clones, ("patch", "minor", "major"), strict=True)
    ]
    for release in running:
        if dice.random() < 0.7 or release is running[0]:
            release.when(begins(dice.choice(["publish", "record", "float"])), release.kill)
    for release in running:
        assert release.wait().code in {0, -9}, "\n".join(release.lines)
    assert_invariants(world, settled=False)

    ran = world.another().inv("release", "--resume")

    assert ran.code == 0, ran.text
    assert len(world.public().git) == 4
    assert_invariants(world)


def test_two_clones_finish_the_same_release(world: World) -> None:
    """An interrupted release that two clones finish concurrently is finished once."""
    clones = _prepare(world, 3)
    running = clones[0].start("release", *FAST)
    assert running.when(begins("publish"), running.kill).wait().code == -9

    both = [clone.start("release", "--resume") for clone in clones[1:]]

    for release in both:
        assert release.wait().code == 0, "\n".join(release.lines)
    assert_invariants(world)


def test_two_releases_in_one_clone(world: World) -> None:
    """If a release is started twice in one folder, one is made and the other reports it, without a traceback."""
    assert world.clone.release().code == 0
    world.clone.commit("one")
    world.clone.commit("two")

    both = [world.clone.start("release", *FAST) for _ in range(2)]
    ran = [release.wait() for release in both]

    for result in ran:
        assert "Traceback" not in result.text, result.text
    assert 0 in {result.code for result in ran}, ran[0].text + ran[1].text
    assert set(world.public().git) == {"v0.1.0", "v0.1.1"}
    assert_invariants(world)


def test_a_float_that_a_slow_racer_puts_back(make_world: Callable[..., World], proxy: Proxy) -> None:
    """A float's PUT that arrives after a newer release's is corrected by the next release."""
    world = make_world(proxy.address, branches=BRANCHES)
    slow, fast = _prepare(world, 2)
    running = slow.start("release", *FAST, "--bump", "patch")

    def overtaken(request: Request) -> Answer:
        ran = fast.release("--bump", "patch")
        assert ran.code == 0, ran.text
        answer = request.forward()
        running.kill()
        return answer

    proxy.rules = [Rule(r"^PUT .*/one/manifests/0\.1$", overtaken)]
    assert running.wait().code == -9
    assert len(world.public().git) == 3

    ran = world.another().release()

    assert ran.code == 0, ran.text
    assert_invariants(world)
