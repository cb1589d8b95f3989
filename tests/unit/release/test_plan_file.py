"""Saved plans: what is written is read, what moved is named, what is none is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from build.errors import BuildError, ReleaseRefused
from build.git.conventional import NearMiss
from build.release import plan_file
from build.release.plan import Plan, PlannedLine, PlannedService, PlannedTag
from build.release.request import Request

BASIS = {"HEAD": "1", "the remote's tags": "2", "the registry": "3", "the manifest": "4", "the images' sources": "5"}
PLAN = Plan(
    commit="c" * 40,
    registry="127.0.0.1:5000/test",
    request=Request(bump="minor", pre="rc", services=("web",)),
    basis=BASIS,
    lines=(
        PlannedLine(
            line="web", version="1.4.0", tag="v1.4.0", previous="1.3.0", bump="minor",
            services=(PlannedService(service="web", action="reuse", why="unchanged", fingerprint="f", digest="d"),),
            tags=(PlannedTag(repository="test/web", tag="1.4", before="a", after="b"),),
        ),
    ),
    unfinished=("v1.3.0",),
)  # fmt: skip


def test_what_was_written_is_read() -> None:
    """A plan comes back from its file as it was."""
    assert plan_file.decode(plan_file.encode(PLAN), "plan.json") == PLAN


def test_the_file_of_schema_1_keeps_its_keys() -> None:
    """A plan that was saved before can still be applied: request and basis are called wish and state there."""
    table = json.loads(plan_file.encode(PLAN))

    assert list(table) == ["schema", "commit", "registry", "wish", "state", "lines", "unfinished", "nothing"]
    assert (table["wish"]["bump"], table["state"]) == ("minor", BASIS)


def test_v1_near_misses_are_in_the_file() -> None:
    """A plan with commits that look conventional lists them, and is read back with them."""
    plan = replace(PLAN, near_misses=(NearMiss(commit="c", header="feat:x", suggestion="feat: x"),))
    text = plan_file.encode(plan)

    assert json.loads(text)["near_misses"] == [{"commit": "c", "header": "feat:x", "suggestion": "feat: x"}]
    assert plan_file.decode(text, "plan.json") == plan


@pytest.mark.parametrize("part", BASIS)
def test_what_moved_is_named(part: str) -> None:
    """Each part of the world that is not what it was is named, and no other."""
    with pytest.raises(ReleaseRefused) as caught:
        plan_file.check_basis(PLAN, BASIS | {part: "moved"})

    assert str(caught.value) == f"the plan is stale: {part} moved since it was made"
    plan_file.check_basis(PLAN, BASIS)


def test_a_plan_that_says_less_is_stale() -> None:
    """A plan from which a part was taken out is not one that holds."""
    shortened = json.loads(plan_file.encode(PLAN))
    del shortened["state"]["HEAD"]

    with pytest.raises(ReleaseRefused, match="HEAD"):
        plan_file.check_basis(plan_file.decode(json.dumps(shortened), "plan.json"), BASIS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a plan"),
        ("[]", "not a plan of this toolkit"),
        ('{"schema": 2}', "not a plan of this toolkit"),
        ('{"schema": 1}', "commit"),
        (plan_file.encode(PLAN).replace('"reuse"', '"rebuild"'), "rebuild"),
        (plan_file.encode(PLAN).replace('"wish"', '"whish"'), "whish"),
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(text: str, reason: str) -> None:
    """Another file is refused with its name and what is wrong with it."""
    with pytest.raises(BuildError, match=reason) as caught:
        plan_file.decode(text, "plan.json")

    assert "plan.json" in str(caught.value)


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "lines[0].services has 0 entries, not 1": lambda table: table["lines"][0]["services"].clear(),
    'lines[0].tag is "v9.9.9", not "v1.4.0"': lambda table: table["lines"][0].update(tag="v9.9.9"),
    'lines[0].services[0].digest is "x", not "d"': lambda table: table["lines"][0]["services"][0].update(digest="x"),
    'lines[0].services[0].service is "x", not "web"': lambda table: table["lines"][0]["services"][0].update(
        service="x"
    ),
    'lines[0].tags[0].after is "x", not "b"': lambda table: table["lines"][0]["tags"][0].update(after="x"),
    'commit is "x", not "cccccccccccccccccccccccccccccccccccccccc"': lambda table: table.update(commit="x"),
}


@pytest.mark.parametrize("said", EDITS)
def test_c8_an_edited_plan_is_refused(said: str) -> None:
    """A plan is applied only if its request makes exactly that plan now; what differs is named with both values."""
    table = json.loads(plan_file.encode(PLAN))
    EDITS[said](table)

    with pytest.raises(ReleaseRefused) as caught:
        plan_file.check_equal(plan_file.decode(json.dumps(table), "plan.json"), PLAN)

    assert str(caught.value) == f"the plan is not what its request makes: {said}"
    plan_file.check_equal(PLAN, replace(PLAN, unfinished=()))


def test_c8_a_tag_that_moved_makes_a_plan_stale() -> None:
    """A tag with another digest than in the plan is named with both."""
    with pytest.raises(ReleaseRefused, match=r"the plan is stale: test/web:1\.4 was a and is z"):
        plan_file.check_tags(PLAN, {("test/web", "1.4"): "z"})
    plan_file.check_tags(PLAN, {("test/web", "1.4"): "a", ("test/web", "1.4.0"): "z"})
