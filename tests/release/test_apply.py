"""A saved plan and what invalidates it: tags that have moved, and conflicting flags."""

from __future__ import annotations

import pytest

from build.registry.oci import digest_of
from tests.release.queries import INDEX, OTHER, ok
from tests.support.world import World


def test_a_tag_that_moved_since_the_plan_refuses_it(world: World) -> None:
    """A tag planned as new does not overwrite one that appeared since: it is named, and nothing is claimed."""
    ok(world.clone.inv("release", "--plan", ".uc/plan.json"))
    for repository, tag in (("two", "0.1.0"), ("one", "0.1")):
        world.hub.put(f"{world.namespace}/{repository}", tag, OTHER, INDEX)

    ran = world.clone.release("--apply", ".uc/plan.json")

    assert ran.code == 14, ran.text
    for name in ("two:0.1.0", "one:0.1"):
        assert f"{world.namespace}/{name} was not there and is {digest_of(OTHER)}" in ran.stderr
    assert world.git_tags() == {}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dry-run",), "it excludes --dry-run and --plan"),
        (("--plan", ".uc/other.json"), "it excludes --dry-run and --plan"),
        (("--bump", "major"), "--apply excludes --bump"),
        (("--pre", "rc", "--version", "2.0.0"), "--apply excludes --pre, --version"),
        (("--service", "one"), "--apply excludes --service"),
        (("--resume",), "--apply excludes --resume"),
    ],
)
def test_a_plan_excludes_conflicting_flags(world: World, flags: tuple[str, ...], message: str) -> None:
    """A flag that the plan would silently override is refused before anything is done."""
    world.clone.project.write(".uc/plan.json", "{}")

    ran = world.clone.release("--apply", ".uc/plan.json", *flags)

    assert ran.code == 14, ran.text
    assert message in ran.stderr
    assert "» " not in ran.stderr
