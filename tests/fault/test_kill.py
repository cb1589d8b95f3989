"""A release killed at any point: nothing is public before its claim, and the next run ends where it would have.

`nox -s fault -- --kills 300 --seed 1000` tries 300 seeds starting at 1000, instead of the few of a normal run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from semver import Version

from build.engine import client as docker
from tests.fault.kills import (
    BOUNDARIES,
    END,
    HOOK,
    Kill,
    Tally,
    arrange,
    assert_landed,
    boundary,
    disarm,
    drawn,
    forget_an_old_one,
    measure,
)
from tests.support.invariants import assert_invariants, assert_nothing_new, is_attached
from tests.support.project import REPOSITORY
from tests.support.proxy import Proxy, Rule, then
from tests.support.samples import deep
from tests.support.server import Registry
from tests.support.signing import make_keys
from tests.support.stack import clean as clean_engine
from tests.support.steps import PUBLIC, begins
from tests.support.world import FAST, SERVICES, Clone, Public, World

_LONGEST_LIFE = 12
# What a kill leaves differs where something was staged or is public; before that a release has only read and built.
SAMPLED = ("build", "stage", *PUBLIC, END)
_FORGETS = 0.3  # how often a registry loses an old release before the next one is killed
_CLAIM = begins("claim")
_SMOKE = "  starting 2 containers"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize with the requested number of seeds, and with many seeds also every boundary with gates on."""
    if "gated" in metafunc.fixturenames:
        many = metafunc.config.getoption("--kills", 20) > 20
        metafunc.parametrize("gated", [boundary(at) for at in BOUNDARIES] if many else [_SMOKE])
    if "seed" in metafunc.fixturenames:
        first, count = metafunc.config.getoption("--seed", 0), metafunc.config.getoption("--kills", 20)
        metafunc.parametrize("seed", range(first, first + count))


@dataclass(slots=True)
class Lane:
    """A world in which one release after another is killed and finished; replaced when it is old or broken."""

    make_world: Callable[..., World]
    proxy: Proxy
    settings: dict[str, str]
    world: World | None = None
    durations: dict[str, float] | None = None
    age: int = 0

    def current(self) -> World:
        """The current world; its first release is complete."""
        if self.world is None or self.age >= _LONGEST_LIFE:
            self.world, self.age = self.make_world(self.proxy.address, **self.settings), 0
            _sign(self.world)
            for name in ("pre-receive", "post-receive"):
                hook = self.world.remote / "hooks" / name
                hook.write_text(HOOK.format(name=name))
                hook.chmod(0o755)
            if self.durations is None:
                self.durations = _measured(self.world.clone)
        self.age += 1
        return self.world


def _sign(world: World) -> None:
    """Give every clone of a world a signing key, so that each step of its releases has something to do."""
    world.environment.update(make_keys(world.clone, world.folder / "keys").signing)


def _measured(clone: Clone) -> dict[str, float]:
    """Measure the second release: the first also probes what the registry allows."""
    for _ in range(2):
        clone.commit("one")
        running = clone.start("release", *FAST)
        ran = running.wait()
        assert ran.code == 0, ran.text
    return measure(running)


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Counts over all kills, kept in .uc/reports/fault-kills.json."""
    counts = Tally()
    yield counts
    counts.write(REPOSITORY / ".uc" / "reports" / "fault-kills.json")


@pytest.fixture(scope="module")
def lane(make_world: Callable[..., World], module_proxy: Proxy) -> Lane:
    """Releases with the default settings."""
    return Lane(make_world, module_proxy, {})


@pytest.fixture(scope="module")
def branch_lane(make_world: Callable[..., World], module_proxy: Proxy) -> Lane:
    """Releases that push the branch with the tag."""
    return Lane(make_world, module_proxy, {"push_branch": "true"})


@pytest.fixture(scope="module")
def gate_lane(
    make_world: Callable[..., World], module_proxy: Proxy, python_base: dict[str, Any], registry: Registry
) -> Iterator[Lane]:
    """Releases of services that run, with both gates."""
    lane = Lane(make_world, module_proxy, {})
    lane.world = make_world(bases=python_base, stand_ins='["python"]')
    _sign(lane.world)
    assert lane.world.clone.inv("release").code == 0
    yield lane
    clean_engine(f"uct-{lane.world.namespace}", registry.address)


def _expected(before: Public) -> str:
    """The next version, according to the existing tags."""
    versions = [Version.parse(tag.removeprefix("v")) for tag in before.git]
    return str(max(versions).bump_patch()) if versions else "0.1.0"


def _kill_and_finish(lane: Lane, tally: Tally, kills: list[Kill], dice: random.Random) -> None:
    world = lane.current()
    broken, lane.world = lane.world, None  # reused if all went well
    clone = world.clone
    changed = dice.choice([["one"], ["two"], ["one", "two"]])
    before = world.public()
    if dice.random() < _FORGETS:
        forget_an_old_one(world, dice)
        before = world.public()
    for service in changed:
        clone.commit(service)
    arguments = ("--bump", "patch") if dice.random() < 0.3 else ()
    elsewhere = dice.random() < 0.3
    for number, kill in enumerate(kills):
        running = clone.start("release", *FAST, *arguments)
        arrange(kill, running, world, lane.proxy, lane.durations or {})
        ran = running.wait()
        disarm(world, lane.proxy)
        assert ran.code in {0, -9}, f"{kill}: {ran.text}"
        tally.add(kill, running, killed=ran.code == -9, again=number > 0)
        assert_landed(kill, running, ran.code)
        if _CLAIM not in running.lines and world.public().git == before.git:
            assert_nothing_new(world, before)
        else:
            tally.claimed += 1
        assert_invariants(world, settled=False)
        if world.public().git != before.git and _is_settled(world):
            arguments = ()  # the release had finished: the same command would correctly make another one
            break
    if elsewhere:
        clone = world.another()
        tally.elsewhere += 1
    _finish(clone, arguments, tally, killed_at_claim=_CLAIM in running.lines)
    _assert_as_uninterrupted(world, before, changed)
    lane.world = broken


def _is_settled(world: World) -> bool:
    try:
        assert_invariants(world)
    except AssertionError:
        return False
    return True


def _finish(clone: Clone, arguments: tuple[str, ...], tally: Tally, *, killed_at_claim: bool) -> None:
    """Run it again to its end. A push that outlived its release may still beat the second try, which reports it."""
    for _ in range(2):
        ran = clone.release(*arguments)
        tally.runs += 1
        if ran.code == 0:
            return
        assert ran.code == 15, ran.text
        assert killed_at_claim, ran.text
    raise AssertionError(ran.text)


def _assert_as_uninterrupted(world: World, before: Public, changed: list[str]) -> None:
    """Assert exactly one more release, with the expected next version, and a new digest only for what changed."""
    assert_invariants(world)
    now, version = world.public(), _expected(before)
    assert set(now.git) - set(before.git) == {f"v{version}"}
    floats = {version.rpartition(".")[0], version.partition(".")[0]}
    for name in (*SERVICES, "release"):
        tags = {one.partition(":")[2] for one in now.images if one.startswith(f"{name}:") and not is_attached(one)}
        assert tags == {one.removeprefix("v") for one in now.git} - world.forgotten | floats
    for name in SERVICES:
        earlier = {digest for one, digest in before.images.items() if one.startswith(f"{name}:")}
        assert (now.images[f"{name}:{version}"] in earlier) == (bool(earlier) and name not in changed)


@pytest.mark.parametrize("step", [*SAMPLED, *deep(*(step for step in BOUNDARIES if step not in SAMPLED))])
def test_killed_between_steps(lane: Lane, tally: Tally, step: str) -> None:
    """Killed as a step begins, or after the last one: the next run ends where the first would have."""
    _guarded(lane, tally, [Kill("step", at=step)], random.Random(step))


def test_killed_inside_steps(lane: Lane, tally: Tally, seed: int) -> None:
    """Killed at any time, at any registry write, before or after the remote took the tag: the same."""
    kills = [drawn(seed)] if seed % 5 else [drawn(seed), drawn(seed + 1000)]
    _guarded(lane, tally, kills, random.Random(seed))


@pytest.mark.parametrize("where", ["pre-receive", "post-receive"])
def test_killed_while_the_branch_is_pushed_too(branch_lane: Lane, tally: Tally, where: str) -> None:
    """With push_branch, the remote has both tag and branch or neither."""
    _guarded(branch_lane, tally, [Kill("hook", at=where)], random.Random(where))


def _guarded(lane: Lane, tally: Tally, kills: list[Kill], dice: random.Random) -> None:
    try:
        _kill_and_finish(lane, tally, kills, dice)
    except AssertionError as error:
        tally.violations.append(f"{' then '.join(map(str, kills))}: {str(error).splitlines()[0]}")
        raise


def test_killed_with_the_gates_on(gate_lane: Lane, tally: Tally, gated: str) -> None:
    """With both gates on, the result is the same, and no container of a killed smoke test is left."""
    world = gate_lane.world
    assert world is not None
    before = world.public()
    world.clone.commit("one")
    running = world.clone.start("release")
    running.when(gated, running.kill)
    ran = running.wait()
    assert ran.code == -9 or (gated == boundary(END) and ran.code == 0), ran.text
    tally.runs += 2
    tally.kills[f"{running.step} (gates on)"] += ran.code == -9
    if _CLAIM not in running.lines:
        assert_nothing_new(world, before)
    assert_invariants(world, settled=False)

    ran = world.clone.inv("release")

    assert ran.code == 0, ran.text
    _assert_as_uninterrupted(world, before, ["one"])
    version = _expected(before)
    assert {gate["verdict"] for gate in world.record(f"v{version}")["gates"].values()} == {"passed"}
    listed = docker.cli("ps", "--all", "--format", "{{.Names}}").stdout.split()
    assert [name for name in listed if name.startswith(f"uct-{world.namespace}")] == []


@pytest.mark.parametrize("writes", [((0, True), (4, False), (6, True)), *deep((((2, False), (3, True), (8, True)),))])
def test_a_yank_that_is_killed(
    make_world: Callable[..., World], module_proxy: Proxy, tally: Tally, writes: tuple[tuple[int, bool], ...]
) -> None:
    """A yank killed at any write is finished by the same command, or by the next release."""
    world = make_world(module_proxy.address)
    assert world.clone.release().code == 0
    for number, (write, before) in enumerate(writes):
        for service in SERVICES:
            world.clone.commit(service)
        assert world.clone.release().code == 0
        assert_invariants(world)
        version = str(max(Version.parse(tag.removeprefix("v")) for tag in world.public().git))
        running = world.clone.start("yank", version, "--reason", "broken")
        module_proxy.rules = [Rule(r"^(PUT|POST) ", then(running.kill, before=before), after=write)]
        ran = running.wait()
        module_proxy.heal()
        assert ran.code == -9, ran.text
        tally.kills["yank"] += 1
        assert_invariants(world, settled=False)

        marked = f"release:{version}-yanked" in world.public().images
        again = ("yank", version, "--reason", "broken") if number % 2 or not marked else ("release", "--resume")
        ran = world.another().inv(*again)

        assert ran.code == 0, ran.text
        assert f"release:{version}-yanked" in world.public().images
        assert world.public().images["one:0.1"] == world.public().images["one:0.1.0"]
        assert_invariants(world)


def test_the_kills_came_in_time(tally: Tally) -> None:
    """Most kills hit a running release; kills that come too late would pass whatever a release does."""
    tally.assert_landed()
