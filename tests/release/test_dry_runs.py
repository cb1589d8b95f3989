"""Dry runs say what the real run then does."""

from __future__ import annotations

from tests.release.queries import ok
from tests.support.world import World


def test_u11_a_dry_yank_names_the_floats_that_move(world: World) -> None:
    """What `yank --dry-run` says would move is what the yank moves, and the dry run itself changes nothing."""
    ok(world.clone.release())
    world.clone.commit("one")
    ok(world.clone.release())
    before = world.public()

    dry = ok(world.clone.inv("yank", "0.1.1", "--reason", "x", "--dry-run", "--json")).result
    unchanged = world.public()
    done = ok(world.clone.inv("yank", "0.1.1", "--reason", "x", "--json")).result

    assert unchanged == before
    assert {move["name"]: move["version"] for move in dry[0]["moved"]} == {"0": "0.1.0", "0.1": "0.1.0"}
    assert sorted(map(str, dry[0]["moved"])) == sorted(map(str, done[0]["moved"]))


def test_u19_without_a_release_it_says_so(world: World) -> None:
    """A list of nothing is no empty table: it says that there is none, and what the first one would be."""
    ran = ok(world.clone.inv("releases"))

    assert (ran.stdout, "no releases yet" in ran.stderr) == ("", True)
    assert ok(world.clone.inv("releases", "--json")).result == []
