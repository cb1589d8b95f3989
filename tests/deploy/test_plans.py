"""A plan that is looked at and then applied, hooks, interrupts, a registry that has vanished, and manifests."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.coherent import assert_whole, running, started
from tests.support.deploying import CONTAINERS, FIRST, PAIR_CHANGED, STORE_CHANGED, WEB_CHANGED, Site
from tests.support.samples import deep
from tests.support.server import Registry
from tests.support.steps import DEPLOY


def test_a_plan_is_applied_as_it_was_seen(lane: Site, tmp_path: Path) -> None:
    """A plan touches nothing; applying it makes what it says."""
    plan = tmp_path / "plan.json"
    before = started(lane)
    ran = lane.deploy(WEB_CHANGED, "--plan", str(plan))
    assert ran.code == 0, ran.text
    assert started(lane) == before
    saved = json.loads(plan.read_text())
    assert WEB_CHANGED in json.dumps(saved)

    ran = lane.inv("deploy", "--apply", str(plan), "--json")

    assert ran.code == 0, ran.text
    assert_whole(lane, WEB_CHANGED)


def test_a_plan_of_another_state_is_refused(lane: Site, tmp_path: Path) -> None:
    """A plan is refused once the target has moved on, though it came back to the same release."""
    plan = tmp_path / "plan.json"
    assert lane.deploy(WEB_CHANGED, "--plan", str(plan)).code == 0
    assert lane.deploy(STORE_CHANGED).code == 0
    assert lane.rollback().code == 0
    before = started(lane)

    ran = lane.inv("deploy", "--apply", str(plan), "--json")

    assert ran.code == 18, ran.text
    assert started(lane) == before
    assert_whole(lane, FIRST)


@pytest.mark.deep
def test_the_summary_of_a_job_names_what_was_deployed(lane: Site, tmp_path: Path) -> None:
    """On GitHub the summary has the plan or the deploy, each container's image by digest, and why it was replaced."""
    file = tmp_path / "summary.md"
    summary = {"GITHUB_STEP_SUMMARY": str(file)}
    assert lane.deploy(WEB_CHANGED, "--dry-run", **summary).code == 0
    assert lane.deploy(WEB_CHANGED, **summary).code == 0
    assert lane.rollback(**summary).code == 0
    assert lane.deploy(FIRST, **summary).code == 0

    titles = [line for line in file.read_text().splitlines() if line.startswith("### ")]
    assert [title.partition(": ")[2] for title in titles] == [
        f"{FIRST} → {WEB_CHANGED}", f"{FIRST} → {WEB_CHANGED}", f"{WEB_CHANGED} → {FIRST}", f"nothing to do, {FIRST} runs"
    ]  # fmt: skip
    planned, deployed, *_ = file.read_text().split("### ")[1:]
    for text in (planned, deployed):
        assert "| web | update | image" in text
        assert lane.releases.digests(WEB_CHANGED)["web"] in text


def test_hooks_get_the_plan(lane: Site, tmp_path: Path) -> None:
    """The commands `before` and `after` get what changes as JSON, the second one with how it ended."""
    files = {key: tmp_path / f"{key}.json" for key in ("before", "after")}
    with lane.settings(**{key: json.dumps(["sh", "-c", f"cat > {path}"]) for key, path in files.items()}):
        ran = lane.deploy(WEB_CHANGED)

    assert ran.code == 0, ran.text
    before, after = (json.loads(path.read_text()) for path in files.values())
    assert (before["release"], before["before"], before["target"]) == (WEB_CHANGED, FIRST, "here")
    assert {change["container"]: change["action"] for change in before["changes"]} == {
        name: "update" if name == "web" else "keep" for name in CONTAINERS
    }
    assert after["state"] == "done"
    assert_whole(lane, WEB_CHANGED)


@pytest.mark.deep
def test_a_hook_that_fails(lane: Site) -> None:
    """A failing `before` forbids the deploy; a failing `after` is a warning, because the deploy is done."""
    before = started(lane)
    with lane.settings(before='["sh", "-c", "echo not today; exit 1"]'):
        refused = lane.deploy(WEB_CHANGED)
    after_refusal = started(lane)
    with lane.settings(after='["false"]'):
        warned = lane.deploy(WEB_CHANGED)
    assert refused.code == 18, refused.text
    assert "not today" in refused.text
    assert after_refusal == before
    assert warned.code == 0, warned.text
    assert "after" in warned.stderr
    assert_whole(lane, WEB_CHANGED)


def test_a_roll_back_without_the_registry(lane: Site, registry: Registry) -> None:
    """What the engine has at hand comes back though the registry is gone; a new release can't come."""
    assert lane.deploy(PAIR_CHANGED).code == 0
    before = started(lane)
    registry.stop()
    try:
        refused = lane.deploy(WEB_CHANGED)
        assert refused.code in {10, 18}, refused.text
        assert started(lane) == before
        status = lane.status()
        ran = lane.rollback()
    finally:
        registry.start()
    assert status["release"] == PAIR_CHANGED
    assert ran.code == 0, ran.text
    assert_whole(lane, FIRST)


@pytest.mark.parametrize("sign", [signal.SIGINT, *deep(signal.SIGTERM)], ids=lambda sign: sign.name)
def test_an_interrupt_puts_the_old_set_back(lane: Site, sign: signal.Signals) -> None:
    """Ctrl-C or a pipeline's end in the middle of the changes ends in the old set, by its digests."""
    deploy = lane.start("deploy", PAIR_CHANGED, "--json")
    deploy.when("  store: ", lambda: deploy.process.send_signal(sign))

    ran = deploy.wait()

    assert ran.code == 128 + sign, ran.text
    assert_whole(lane, FIRST)
    assert lane.deploys()[0]["state"] == "rolled-back"


@pytest.mark.deep
def test_an_interrupt_before_anything_is_touched(lane: Site) -> None:
    """Before the journal is open an interrupt only ends the command."""
    before, history = started(lane), lane.deploys()
    deploy = lane.start("deploy", PAIR_CHANGED)
    deploy.when(DEPLOY.begins("preflight"), lambda: deploy.process.send_signal(signal.SIGINT))
    ran = deploy.wait()
    assert ran.code == 130, ran.text
    assert (started(lane), lane.deploys()) == (before, history)
    assert_whole(lane, FIRST)


@pytest.mark.deep
def test_an_interrupted_first_deploy(site: Site) -> None:
    """Without an old set an interrupt ends with 130 or 17, and the next deploy brings the whole set."""
    deploy = site.start("deploy", FIRST)
    deploy.when("  store: ", lambda: deploy.process.send_signal(signal.SIGINT))
    ran = deploy.wait()
    assert ran.code in {17, 130}, ran.text
    assert set(running(site)) < set(CONTAINERS)
    assert site.status()["state"] == "failed"
    ran = site.deploy(FIRST)
    assert ran.code == 0, ran.text
    assert_whole(site, FIRST)


def test_manifests_are_what_would_be_applied(lane: Site, tmp_path: Path) -> None:
    """`manifests` writes the whole set as one Compose file by digests, which Compose itself accepts."""
    ran = lane.inv("manifests", WEB_CHANGED, "--out", str(tmp_path), "--json")
    assert ran.code == 0, ran.text
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    listed = lane.engine.docker("compose", "--file", str(file), "config", "--images").split()
    digests = lane.releases.digests(WEB_CHANGED)
    assert {image.partition("@")[2] for image in listed} == set(digests.values())
