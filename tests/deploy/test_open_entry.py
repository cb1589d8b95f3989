"""What a deploy that was killed leaves: the status and the plan name both ways out, and there is a last resort."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.coherent import assert_whole, started
from tests.support.deploying import FIRST, PAIR_CHANGED, WEB_CHANGED, Site


@pytest.fixture
def killed(lane: Site) -> Site:
    """A site whose deploy was killed after its first container."""
    deploy = lane.start("deploy", PAIR_CHANGED)
    deploy.when("  store: ", deploy.kill)
    deploy.wait()
    assert lane.status()["state"] == "open"
    return lane


def test_the_ways_out_are_shown(killed: Site, tmp_path: Path) -> None:
    """The status names both; a dry run shows what the roll back then does: it undoes the deploy, and no more."""
    summary = tmp_path / "summary.md"
    before = started(killed)
    shown = killed.inv("status")
    planned = killed.rollback("--dry-run")
    after_looking = started(killed)
    ran = killed.rollback(GITHUB_STEP_SUMMARY=str(summary))

    assert f"was undone: {FIRST} runs again" in summary.read_text()
    assert "./inv deploy --resume finishes it, ./inv rollback undoes it" in shown.text
    assert "--adopt" not in shown.text
    assert planned.code == 0, planned.text
    assert planned.result["release"] == FIRST
    due = {change["container"] for change in planned.result["changes"] if change["action"] != "keep"}
    assert "store" in due
    assert after_looking == before
    assert ran.code == 0, ran.text
    assert_whole(killed, FIRST)


def test_an_open_deploy_can_be_given_up(killed: Site) -> None:
    """Where neither set can be brought, another one can, over whatever is there; as the recipe says."""
    ran = killed.deploy(WEB_CHANGED, "--adopt")

    assert ran.code == 0, ran.text
    assert "giving it up as it is" in ran.stderr
    assert_whole(killed, WEB_CHANGED)
    assert killed.rollback().code == 0
    assert_whole(killed, FIRST)


def test_an_undo_fetches_an_image_that_was_removed_since(killed: Site) -> None:
    """What goes back does not depend on what a clean-up left on the engine."""
    record = killed.releases.record(FIRST)
    image = f"{record.registry}/store@{record.services['store'].digest}"
    killed.engine.docker("image", "rm", "--force", image)

    ran = killed.rollback()

    assert ran.code == 0, ran.text
    assert_whole(killed, FIRST)
