"""What a deploy refuses, with 18 and a remedy, before anything is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from build.release.record import of_record
from tests.support.coherent import assert_whole, running, started, touched
from tests.support.deploying import FIRST, STORE_CHANGED, WEB_CHANGED, Site
from tests.support.project import Ran
from tests.support.samples import deep
from tests.support.spoiled import spoiled
from tests.support.world import clean


@pytest.fixture
def untouched(lane: Site) -> Iterator[Site]:
    """The lane; nothing of it may have been touched or recorded at the end."""
    before, history = started(lane), lane.deploys()
    yield lane
    assert started(lane) == before
    assert lane.deploys() == history


def _refused(ran: Ran, *words: str) -> None:
    assert ran.code == 18, ran.text
    assert clean(ran.stderr), ran.text
    assert "try:" in ran.stderr, "no remedy"
    for word in words:
        assert word in ran.stderr, ran.text


def test_a_version_that_was_never_released(untouched: Site) -> None:
    """An unknown version is refused with where to look."""
    _refused(untouched.deploy("7.7.7"), "7.7.7", "./inv releases")


def test_a_release_that_was_withdrawn(untouched: Site) -> None:
    """A yanked release is refused with the reason of its yank."""
    version = untouched.releases.forge({})
    ran = untouched.releases.world.clone.inv("yank", version, "--reason", "it loses data")
    assert ran.code == 0, ran.text
    _refused(untouched.deploy(version), version, "it loses data")


def test_a_release_that_is_not_complete(untouched: Site) -> None:
    """A version that is claimed and has no record in the registry is refused."""
    version = untouched.releases.forge({}, complete=False)
    try:
        _refused(untouched.deploy(version), version)
    finally:
        untouched.releases.complete(version)


@pytest.mark.parametrize("fetched", [True, False], ids=["the tag is here", "the tag is not here yet"])
def test_a_record_that_is_not_the_tags(untouched: Site, fetched: bool) -> None:
    """A registry whose record names other digests than the git tag's is refused, also by a clone without the tag."""
    site, hub = untouched, untouched.releases.world.hub
    version = site.releases.forge({})
    record = site.releases.record(version)
    digest = spoiled(hub, record.repository_of("web"), record.services["web"].digest, "relabelled")
    services = record.services | {"web": replace(record.services["web"], digest=digest)}
    changed = of_record(replace(record, services=services))
    for blob in changed.blobs:
        hub.put_blob(record.repository, blob)
    assert hub.put(record.repository, version, changed.manifest.content, changed.manifest.media_type) == 201
    if fetched:
        site.clone.git("fetch", "--quiet", "--tags", "origin")
    try:
        _refused(site.deploy(version), version)
    finally:
        good = of_record(record).manifest
        hub.put(record.repository, version, good.content, good.media_type)


def test_a_path_that_is_not_there(untouched: Site) -> None:
    """A folder that the engine's machine lacks is named, with the containers that mount it and where it is set."""
    site = untouched
    file = site.root / "versions.local.toml"
    before = file.read_text()
    file.write_text(re.sub(r'notes = ".*"', 'notes = "/nowhere/notes"', before))
    try:
        _refused(site.deploy(STORE_CHANGED), "store: /nowhere/notes is not there", "sources")
    finally:
        file.write_text(before)


def test_a_release_whose_tag_is_nowhere(untouched: Site, tmp_path: Path) -> None:
    """Where neither this clone nor its remote has the tag, the registry's word counts, with a warning and a remedy."""
    clone = untouched.another().clone
    clone.git("init", "--quiet", "--bare", str(tmp_path / "empty"))
    clone.git("remote", "set-url", "origin", str(tmp_path / "empty"))
    clone.git("tag", "--delete", f"v{FIRST}")

    ran = clone.inv("deploy", FIRST, "--dry-run")

    assert ran.code == 0, ran.text
    assert f"the git tag v{FIRST} is not here or on origin" in ran.stderr
    assert f"git fetch URL tag v{FIRST}" in ran.stderr


def test_a_roll_back_to_what_was_never_deployed(untouched: Site) -> None:
    """A roll back goes only to what the target ran before."""
    _refused(untouched.rollback("--to", WEB_CHANGED + "0"), "./inv deploys")
    _refused(untouched.rollback("--to", "4000"), "./inv deploys")


def test_a_secret_that_is_missing(lane: Site) -> None:
    """Without its secret file nothing starts; the remedy makes it."""
    before = started(lane)
    secret, aside = lane.secrets / "beta", lane.secrets.parent / "beta-aside"
    secret.rename(aside)
    try:
        ran = lane.deploy(WEB_CHANGED)
    finally:
        aside.rename(secret)
    assert ran.code in {11, 18}, ran.text
    assert "beta" in ran.stderr
    assert "./inv secrets.init" in ran.stderr
    assert started(lane) == before


Change = Callable[[Site], object]


def _other_image(site: Site) -> None:
    """Replace `web` by a container with another image, as `docker compose up` on a changed file does."""
    file = json.loads(next((site.root / ".uc").rglob("web.json")).read_text())
    digests = site.releases.digests(WEB_CHANGED)
    name = file["services"]["web"]["image"].partition("@")[0]
    file["services"]["web"]["image"] = f"{name}@{digests['web']}"
    _up(site, file)


def _other_environment(site: Site) -> None:
    file = json.loads(next((site.root / ".uc").rglob("web.json")).read_text())
    file["services"]["web"]["environment"]["BY_HAND"] = "yes"
    _up(site, file)


def _up(site: Site, file: object) -> None:
    path = site.root / ".uc" / "by-hand.json"
    path.write_text(json.dumps(file))
    site.engine.docker(
        "compose", "--project-name", site.project, "--file", str(path), "up", "--detach", "--no-deps", "web"
    )


def _removed(site: Site) -> None:
    site.engine.docker("rm", "--force", f"{site.project}-web-1")


def _second(site: Site) -> None:
    _by_hand(site, "web", f"{site.project}-web-2")


def _foreign(site: Site) -> None:
    _by_hand(site, "extra", f"{site.project}-extra-1")


def _by_hand(site: Site, service: str, name: str) -> None:
    """Run a container that belongs to the project by its labels alone."""
    label = f"com.docker.compose.project={site.project}"
    image = running(site)["web"].document["Config"]["Image"]
    site.engine.docker(
        "run", "--detach", "--name", name, "--label", label, "--label", f"com.docker.compose.service={service}", image
    )


@pytest.mark.parametrize("change", [_other_image, _removed, _second, *deep(_other_environment, _foreign)])
def test_what_was_changed_by_hand(lane: Site, change: Change) -> None:
    """Drift is shown by the status and refused; --adopt brings the release's set, whatever was there."""
    change(lane)
    before = started(lane)

    status = lane.status()
    assert status["drift"], status
    _refused(lane.deploy(STORE_CHANGED), "--adopt")
    _refused(lane.rollback("--to", FIRST), "--adopt")
    assert started(lane) == before

    ran = lane.deploy(FIRST, "--adopt")
    assert ran.code == 0, ran.text
    assert_whole(lane, FIRST)
    assert lane.status()["drift"] == []


def test_a_container_that_was_stopped(lane: Site) -> None:
    """A stopped container is seen by the status, and the next deploy of the same release starts it alone."""
    lane.engine.docker("stop", f"{lane.project}-web-1")
    before = started(lane)
    shown = {entry["container"]: entry["state"] for entry in lane.status()["containers"]}
    assert shown["web"] == "exited"

    ran = lane.deploy(FIRST)

    assert ran.code == 0, ran.text
    assert_whole(lane, FIRST)
    assert touched(before, started(lane)) == {"web"}


def test_containers_that_no_deploy_made(site: Site) -> None:
    """A project that something else has started is refused on a first deploy, and taken over with --adopt."""
    label = f"com.docker.compose.project={site.project}"
    image = f"{site.releases.record(FIRST).registry}/web@{site.releases.digests(FIRST)['web']}"
    site.engine.docker(
        "run", "--detach", "--name", f"{site.project}-web-1", "--label", label,
        "--label", "com.docker.compose.service=web", image,
    )  # fmt: skip

    _refused(site.deploy(FIRST), "web", "--adopt")

    ran = site.deploy(FIRST, "--adopt")
    assert ran.code == 0, ran.text
    assert_whole(site, FIRST)
