"""Saved plans: what is written is read, what moved is named, what is none is refused."""

from __future__ import annotations

import json

import pytest

from build import saved_plan
from build.errors import BuildError, ReleaseRefused
from build.plan import Plan, PlannedLine, PlannedService, PlannedTag
from build.wish import Wish

STATE = {"HEAD": "1", "the remote's tags": "2", "the registry": "3", "the manifest": "4", "the images' sources": "5"}
PLAN = Plan(
    commit="c" * 40,
    registry="127.0.0.1:5000/test",
    wish=Wish(bump="minor", pre="rc", services=("web",)),
    state=STATE,
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
    assert saved_plan.decode(saved_plan.encode(PLAN), "plan.json") == PLAN


@pytest.mark.parametrize("part", STATE)
def test_what_moved_is_named(part: str) -> None:
    """Each part of the world that is not what it was is named, and no other."""
    with pytest.raises(ReleaseRefused) as caught:
        saved_plan.check(PLAN, STATE | {part: "moved"})

    assert str(caught.value) == f"the plan is stale: {part} moved since it was made"
    saved_plan.check(PLAN, STATE)


def test_a_plan_that_says_less_is_stale() -> None:
    """A plan from which a part was taken out is not one that holds."""
    shortened = json.loads(saved_plan.encode(PLAN))
    del shortened["state"]["HEAD"]

    with pytest.raises(ReleaseRefused, match="HEAD"):
        saved_plan.check(saved_plan.decode(json.dumps(shortened), "plan.json"), STATE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a plan"),
        ("[]", "not a plan of this toolkit"),
        ('{"schema": 2}', "not a plan of this toolkit"),
        ('{"schema": 1}', "commit"),
        (saved_plan.encode(PLAN).replace('"reuse"', '"rebuild"'), "rebuild"),
        (saved_plan.encode(PLAN).replace('"wish"', '"whish"'), "whish"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, reason: str) -> None:
    """Another file is refused with its name and what is wrong with it."""
    with pytest.raises(BuildError, match=reason) as caught:
        saved_plan.decode(text, "plan.json")

    assert "plan.json" in str(caught.value)
