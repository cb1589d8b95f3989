"""A saved plan and what invalidates it: tags that have moved, and conflicting flags."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from build.registry.oci import digest_of
from tests.release.queries import INDEX, OTHER, ok
from tests.support.samples import deep
from tests.support.world import World, clean


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


def _without_a_service(table: Any) -> None:
    del table["lines"][0]["services"][0]


def _another_tag(table: Any) -> None:
    table["lines"][0]["tag"] = "v9.9.9"


def _another_digest(table: Any) -> None:
    table["lines"][0]["services"][0] |= {"action": "reuse", "digest": digest_of(OTHER)}


def _an_unknown_service(table: Any) -> None:
    table["lines"][0]["services"][0]["service"] = "nobody"


def _another_wish(table: Any) -> None:
    table["wish"]["bump"] = "major"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_without_a_service, "lines[0].services has 1 entries, not 2"),
        (_another_digest, 'lines[0].services[0].action is "reuse", not "build"'),
        *deep(
            (_another_tag, 'lines[0].tag is "v9.9.9", not "v0.1.1"'),
            (_an_unknown_service, 'lines[0].services[0].service is "nobody", not "one"'),
            (_another_wish, 'lines[0].version is "0.1.1", not "1.0.0"'),
        ),
    ],
)
def test_c8_a_plan_that_was_edited_is_not_carried_out(world: World, edit: Callable[[Any], None], said: str) -> None:
    """A plan is computed again from its request; what was edited is named, and nothing is claimed."""
    ok(world.clone.release())
    for service in ("one", "two"):
        world.clone.commit(service)
    ok(world.clone.inv("release", "--plan", ".uc/plan.json"))
    path = world.clone.project.root / ".uc" / "plan.json"
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table))

    ran = world.clone.release("--apply", ".uc/plan.json")

    assert (ran.code, clean(ran.stderr)) == (14, True), ran.text
    assert f"the plan is not what its request makes: {said}" in ran.stderr
    assert list(world.git_tags()) == ["v0.1.0"]


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
