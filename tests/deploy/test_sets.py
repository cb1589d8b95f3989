"""A whole set comes, changes and goes back: verified by digest on the containers, and only what changed is touched."""

from __future__ import annotations

from tests.support.coherent import assert_whole, report, running, started, touched
from tests.support.deploying import CONTAINERS, FIRST, PAIR_CHANGED, STORE_CHANGED, WEB_CHANGED, Site
from tests.support.readme import DEPLOYING, readme_commands


def _actions(result: dict[str, object]) -> dict[str, str]:
    changes = result["changes"]
    assert isinstance(changes, list)
    return {change["container"]: change["action"] for change in changes}


def test_a_first_deploy_brings_the_whole_set(site: Site) -> None:
    """Every container is created in the order of dependencies, runs by its digest, and the result says so."""
    ran = site.deploy(FIRST)

    assert ran.code == 0, ran.text
    assert_whole(site, FIRST)
    assert (ran.result["state"], ran.result["number"], ran.result["before"]) == ("done", 1, None)
    assert (ran.result["release"], ran.result["target"], ran.result["action"]) == (FIRST, "here", "deploy")
    assert _actions(ran.result) == dict.fromkeys(CONTAINERS, "create")
    order = sorted(CONTAINERS, key=lambda name: running(site)[name].started)
    assert order.index("store") < order.index("pair-a") < order.index("web")
    digests = site.releases.digests(FIRST)
    for change in ran.result["changes"]:
        assert change["after"].endswith(f"@{digests[CONTAINERS[change['container']]]}")


def test_a_history_of_sets(site: Site) -> None:
    """One update after the other touches only what changed; roll backs go to the last good set, a named one, a number."""
    assert site.deploy(FIRST).code == 0
    versions = {WEB_CHANGED: {"web"}, STORE_CHANGED: {"store"}, PAIR_CHANGED: {"pair-a", "pair-b"}}
    for version, expected in versions.items():
        before = started(site)
        ran = site.deploy(version)
        assert ran.code == 0, ran.text
        assert_whole(site, version)
        assert touched(before, started(site)) == expected
        assert {name for name, action in _actions(ran.result).items() if action != "keep"} == expected
    starts = report(site, "store")["starts"]
    assert len(starts) == 2, "the volume's data stayed"

    for arguments, version in (
        ((), STORE_CHANGED),
        ((), WEB_CHANGED),
        (("--to", PAIR_CHANGED), PAIR_CHANGED),
        (("--to", "1"), FIRST),
        (("--to", "2"), WEB_CHANGED),
        ((), FIRST),
    ):
        ran = site.rollback(*arguments)
        assert ran.code == 0, ran.text
        assert (ran.result["action"], ran.result["state"], ran.result["release"]) == ("rollback", "done", version)
        assert_whole(site, version)
    listed = site.deploys()
    assert [entry["number"] for entry in listed] == list(range(10, 0, -1))
    assert [entry["action"] for entry in listed] == ["rollback"] * 6 + ["deploy"] * 4
    assert {entry["state"] for entry in listed} == {"done"}
    ran = site.rollback()
    assert ran.code == 18, ran.text


def test_the_same_release_again_touches_nothing(lane: Site) -> None:
    """A second deploy of what runs restarts no container and opens no entry."""
    before, history = started(lane), lane.deploys()

    ran = lane.deploy(FIRST)

    assert ran.code == 0, ran.text
    assert started(lane) == before
    assert lane.deploys() == history


def test_a_service_alone(lane: Site) -> None:
    """With --service the other services stay at their release, and the status names both."""
    before = started(lane)

    ran = lane.deploy(PAIR_CHANGED, "--service", "web")

    assert ran.code == 0, ran.text
    assert touched(before, started(lane)) == {"web"}
    digests = lane.releases.digests(PAIR_CHANGED)
    live = running(lane)
    assert digests["web"] in live["web"].digests
    assert lane.releases.digests(FIRST)["store"] in live["store"].digests
    assert lane.status()["release"] == f"pair {FIRST}, store {FIRST}, web {PAIR_CHANGED}"
    ran = lane.rollback()
    assert ran.code == 0, ran.text
    assert_whole(lane, FIRST)


def test_status_says_what_runs(lane: Site) -> None:
    """The status has each container with its version, image, health and URL, no drift, and a free lock."""
    status = lane.status()

    assert (status["release"], status["kind"], status["drift"]) == (FIRST, "compose", [])
    assert not status["lock"]
    digests = lane.releases.digests(FIRST)
    shown = {entry["container"]: entry for entry in status["containers"]}
    assert set(shown) == set(CONTAINERS)
    for name, entry in shown.items():
        assert (entry["service"], entry["version"], entry["health"]) == (CONTAINERS[name], FIRST, "healthy")
        assert entry["image"].endswith(digests[CONTAINERS[name]])
        assert entry["url"] == lane.url(name, "")


def test_containers_learn_which_release_runs(lane: Site) -> None:
    """A container that was not touched reads the new release from its file; it is not restarted for it."""
    first, version = report(lane, "web"), lane.releases.variant(store="relabelled")
    assert f'"version": "{FIRST}"' in first["release"]

    assert lane.deploy(version).code == 0

    second = report(lane, "web")
    assert (second["host"], second["content"]) == (first["host"], first["content"])
    assert f'"version": "{version}"' in second["release"]


def test_a_dry_run_says_what_would_happen(lane: Site) -> None:
    """With --dry-run the changes are listed, and nothing is touched or recorded."""
    before, history = started(lane), lane.deploys()

    ran = lane.deploy(PAIR_CHANGED, "--dry-run")

    assert ran.code == 0, ran.text
    actions = _actions(ran.result)
    assert {name for name, action in actions.items() if action == "update"} == {"store", "pair-a", "pair-b", "web"}
    assert (started(lane), lane.deploys()) == (before, history)
    ran = lane.rollback("--to", FIRST, "--dry-run")
    assert ran.code == 0, ran.text
    assert (started(lane), lane.deploys()) == (before, history)


def test_u13_the_commands_of_the_readme(lane: Site) -> None:
    """Each command that the README has for a target ends well: a release is brought, looked at, and rolled back."""
    commands = [command.split()[1:] for command in readme_commands() if command.startswith(DEPLOYING)]

    assert [words[0] for words in commands] == ["deploy", "status", "rollback"]
    for words in commands:
        ran = lane.inv(*(WEB_CHANGED if word == "1.4.0" else word for word in words))
        assert ran.code == 0, ran.text
    assert_whole(lane, FIRST)
