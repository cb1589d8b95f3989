"""Rerunning after an interruption: one commit gets one release on a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.release.queries import ALWAYS, INDEX, OTHER, digests, ok, recorded
from tests.support.proxy import Proxy, Rule, status, then
from tests.support.samples import deep
from tests.support.world import FAST, World

TOGETHER = ("--service", "one", "--service", "two", "--bump", "minor")


@pytest.mark.parametrize(
    ("first", "second", "tags"),
    [
        (("--bump", "patch"), ("--bump", "patch"), ["v0.1.1"]),
        (("--pre", "rc"), (), ["v0.1.1", "v0.1.1-rc.1"]),
        ((), ("--version", "0.3.0"), ["v0.1.1", "v0.3.0"]),
        *deep(
            ((), ("--bump", "patch"), ["v0.1.1"]),
            (("--bump", "minor"), ("--bump", "patch"), ["v0.2.0"]),
            (("--bump", "minor"), (), ["v0.2.0"]),
            (("--bump", "minor", "--pre", "rc"), ("--bump", "minor", "--pre", "rc"), ["v0.2.0-rc.1"]),
            ((), ("--bump", "major"), ["v0.1.1"]),
            (("--pre", "rc"), ("--bump", "minor", "--pre", "rc"), ["v0.1.1-rc.1"]),
        ),
    ],
)
def test_an_interrupted_release_answers_every_request_of_its_channel(
    faulty: World, proxy: Proxy, first: tuple[str, ...], second: tuple[str, ...], tags: list[str]
) -> None:
    """At one commit, an interrupted release is finished; only another channel or a given version is then made as well."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    proxy.rules = [Rule(r"PUT .*/release/manifests/", status(403), times=ALWAYS)]
    assert faulty.clone.release(*first).code == 10
    proxy.heal()

    ok(faulty.clone.release(*second))

    assert sorted(faulty.git_tags()) == ["v0.1.0", *tags]
    assert set(faulty.hub.tags(f"{faulty.namespace}/release")) >= {tag.removeprefix("v") for tag in tags}


@pytest.mark.parametrize(
    ("pre", "killed_at"),
    [(("--pre", "rc"), r"PUT .*/release/one/manifests/0\.2\.0-rc\.1$"), ((), r"PUT .*/release/one/manifests/0$")],
)
def test_lines_that_were_claimed_together_are_done_together(
    make_world: Callable[..., World], proxy: Proxy, pre: tuple[str, ...], killed_at: str
) -> None:
    """Killed with one line complete and the other not, the same command finishes the other and makes nothing new."""
    world = make_world(proxy.address, mode='"independent"')
    ok(world.clone.release())
    for service in ("one", "two"):
        world.clone.commit(service)
    running = world.clone.start("release", *FAST, *TOGETHER, *pre)
    proxy.rules = [Rule(killed_at, then(running.kill, before=False))]
    assert running.wait().code == -9
    proxy.heal()
    claimed = sorted(world.git_tags())
    assert len(claimed) == 4

    ok(world.clone.release(*TOGETHER, *pre))

    assert sorted(world.git_tags()) == claimed


def test_a_corrected_float_does_not_change_the_applied_plan(world: World) -> None:
    """Correcting a float of the last release does not affect a plan for the next one."""
    ok(world.clone.release())
    world.clone.touch()
    ok(world.clone.inv("release", "--bump", "minor", "--plan", ".uc/plan.json"))
    world.hub.put(f"{world.namespace}/one", "0.1", OTHER, INDEX)

    ok(world.clone.release("--apply", ".uc/plan.json"))

    assert sorted(world.git_tags()) == ["v0.1.0", "v0.2.0"]
    assert digests(world, "0.1") == recorded(world, "v0.1.0")
