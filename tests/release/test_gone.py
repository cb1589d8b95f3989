"""A registry that forgets: what it lost is `gone`, holds nothing up, and one command settles it."""

from __future__ import annotations

import pytest

from tests.release.queries import INDEX, OTHER, digests, listed, ok, recorded
from tests.support.invariants import assert_invariants
from tests.support.proxy import Answer, Proxy, Rule, status
from tests.support.samples import deep
from tests.support.world import SERVICES, Clone, World, clean

ALWAYS = 1_000_000


def _states(clone: Clone) -> dict[str, str]:
    return {tag: one["state"] for tag, one in listed(clone).items()}


def _three_releases(world: World) -> None:
    for _ in range(3):
        for service in SERVICES:
            world.clone.commit(service)
        ok(world.clone.release())


@pytest.mark.parametrize("repositories", [(*SERVICES, "release"), *deep((("one",),))])
def test_c7_an_old_release_that_is_gone_blocks_nothing(world: World, repositories: tuple[str, ...]) -> None:
    """Whatever of an old release a clean-up removed: it is listed as gone, and the next release and --resume go on."""
    _three_releases(world)
    world.forget("0.1.1", repositories)
    clone = world.another()

    assert _states(clone) == {"v0.1.0": "complete", "v0.1.1": "gone", "v0.1.2": "complete"}
    ok(clone.inv("release", "--resume"))
    clone.commit("one")
    ok(clone.release())

    assert _states(clone)["v0.1.1"] == "gone"
    assert digests(world, "0.1") == digests(world, "0") == recorded(world, "v0.1.3")


@pytest.mark.parametrize("repositories", [(*SERVICES, "release"), *deep((SERVICES,))])
def test_c7_the_newest_release_that_is_gone_keeps_its_floats_and_blocks_nothing(
    world: World, repositories: tuple[str, ...]
) -> None:
    """The newest was lost: --resume and the next release exit 0, and floats don't move back by themselves."""
    _three_releases(world)
    world.forget("0.1.2", repositories)
    clone = world.another()

    assert _states(clone)["v0.1.2"] == "gone"
    resumed = ok(clone.inv("release", "--resume"))
    assert "0.1.2" in resumed.stderr
    clone.commit("one")
    ok(clone.release())

    assert digests(world, "0.1") == recorded(world, "v0.1.3")
    assert _states(clone)["v0.1.2"] == "gone"


def test_c7_one_command_settles_what_was_emptied(world: World) -> None:
    """An emptied registry: everything is gone, a release is made all the same, and one yank withdraws the rest."""
    _three_releases(world)
    for version in ("0.1.0", "0.1.1", "0.1.2"):
        world.forget(version)
    clone = world.another()
    assert set(_states(clone).values()) == {"gone"}

    ok(clone.inv("release", "--resume"))
    clone.commit("one")
    ok(clone.release())
    dry = ok(clone.inv("yank", "gone", "--reason", "registry emptied", "--dry-run"))
    ok(clone.inv("yank", "gone", "--reason", "registry emptied"))

    assert "0.1.0, 0.1.1, 0.1.2 would be withdrawn" in dry.stdout
    states = _states(clone)
    assert states.pop("v0.1.3") == "complete"
    assert set(states.values()) == {"yanked"}
    assert "nothing to withdraw" in ok(clone.inv("yank", "gone", "--reason", "again")).stdout


def test_c7_an_interrupted_release_whose_images_were_swept_is_gone(faulty: World, proxy: Proxy) -> None:
    """Claimed, then its untagged images were removed: the next release goes on with the next number."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    proxy.rules = [Rule(r"PUT .*/manifests/0\.1\.1$", status(403), times=ALWAYS)]
    assert faulty.clone.release().code == 10
    proxy.heal()
    digest = recorded(faulty, "v0.1.1")["one"]
    assert faulty.hub.delete(f"{faulty.namespace}/one", digest) == 202
    clone = faulty.another()

    assert _states(clone)["v0.1.1"] == "gone"
    ran = ok(clone.release())

    assert "v0.1.1" in ran.stderr
    assert sorted(faulty.git_tags()) == ["v0.1.0", "v0.1.1", "v0.1.2"]


def test_c7_complete_is_complete(world: World) -> None:
    """A full version that someone moved is listed as altered, one without its tag as gone."""
    _three_releases(world)
    world.hub.put(f"{world.namespace}/one", "0.1.1", OTHER, INDEX)

    assert _states(world.clone) == {"v0.1.0": "complete", "v0.1.1": "altered", "v0.1.2": "complete"}


def test_c9_a_list_that_lacks_our_record_is_not_believed(faulty: World, proxy: Proxy) -> None:
    """tags/list answers 404 after the record was put: it is an error, and never floats that stay where they were."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    absent = Answer(404, {"Content-Type": "application/json"}, b'{"errors":[{"code":"NAME_UNKNOWN"}]}')
    proxy.rules = [Rule(r"GET .*/release/tags/list", lambda _request: absent, times=ALWAYS)]

    ran = faulty.clone.release()

    assert (ran.code, clean(ran.stderr)) == (10, True), ran.text
    assert "lists" in ran.stderr and "yank" not in ran.stderr
    proxy.heal()
    ok(faulty.clone.inv("release", "--resume"))
    assert digests(faulty, "0.1") == recorded(faulty, "v0.1.1")
    assert_invariants(faulty)
