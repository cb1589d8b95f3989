"""Backups and restores killed at any moment, by the task or by what works beside the volume: the old data or the new."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.coherent import assert_at_rest, running, started
from tests.support.counting import SERVICE, Counting, counted, counts, inside
from tests.support.counting import site as counting_site
from tests.support.deployed import Engine
from tests.support.deploying import Site
from tests.support.own_engine import until
from tests.support.running import Running
from tests.support.samples import deep
from tests.support.steps import DEPLOY

# Where a restore is killed: most often while the data changes.
_STEPS = ("data", "apply", "data", "stage", "data", "journal")
_AFTER = ("resume", "rollback", "again")


@dataclass(frozen=True, slots=True)
class Lane:
    """A site that counts, a backup of it whose note is `old`, and how long the steps of a restore took."""

    site: Site
    backup: Path
    seconds: dict[str, float]
    landed: list[bool] = field(default_factory=list)


@pytest.fixture(scope="module")
def lane_of_data(releases_of_data: Counting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """A site after a backup, and a restore that was measured."""
    site = counting_site(releases_of_data, Engine())
    try:
        assert site.deploy(releases_of_data.first).code == 0
        counts(site, "/note=old")
        counted(site)
        backup = tmp_path_factory.mktemp("backups") / "b.tar.gz"
        assert site.inv("backup", "--out", str(backup)).code == 0
        restore = site.start("restore", str(backup))
        ran = restore.wait()
        assert ran.code == 0, ran.text
        yield Lane(site, backup, _durations(restore))
    finally:
        site.engine.clean(site.project)


def _durations(restore: Running) -> dict[str, float]:
    begun = {key: at for at, line in restore.times for key in DEPLOY.keys if line == DEPLOY.begins(key)}
    ends = [*list(begun.values())[1:], restore.times[-1][0]]
    return {key: end - at for (key, at), end in zip(begun.items(), ends, strict=True)}


def _kill_beside(site: Site, process: Running, *, shared: bool = False) -> None:
    """Kill what works beside the volume, the next one if none does, while the task runs."""
    name = f"{site.project}-data"
    while process.process.poll() is None:
        if shared:
            listed = site.engine.docker("ps", "--quiet", "--filter", f"name={name}-", check=False)
        else:
            listed = site.engine.docker("ps", "--quiet", "--filter", f"name=^{name}$", check=False)
        if listed and site.engine.docker("kill", *listed.split(), check=False):
            return


@pytest.mark.parametrize("seed", [*range(2), *deep(*range(2, 100))])
def test_a_restore_that_is_killed(lane_of_data: Lane, seed: int) -> None:
    """Killed at any moment, it leaves an open entry or none; the next command ends in all of the old data or the new."""
    lane, site, dice = lane_of_data, lane_of_data.site, random.Random(seed)
    counts(site, "/note=new")
    before = counted(site)
    step, share, after = _STEPS[seed % len(_STEPS)], dice.random(), _AFTER[seed % len(_AFTER)]
    beside = seed % 3 == 2
    restore = site.start("restore", str(lane.backup))

    def act() -> None:
        time.sleep(share * lane.seconds[step])
        _kill_beside(site, restore) if beside else restore.kill(children=dice.random() < 0.5)

    restore.when(DEPLOY.begins(step), threading.Thread(target=act, daemon=True).start)
    ran = restore.wait()
    opened = any(name.endswith("-open") for name in site.engine.kept(site.project))
    assert ran.code in ({0, 16} if beside else {0, -9}), ran.text
    assert (site.status()["state"] == "open") == opened
    lane.landed.append(ran.code != 0)
    live = running(site).get(SERVICE)
    if live and live.health == "healthy":
        counts(site).assert_sound()

    words = {"resume": ("deploy", "--resume"), "rollback": ("rollback",), "again": ("restore", str(lane.backup))}
    if opened or after == "again":
        finished = site.inv(*words[after])
        assert finished.code == 0, f"seed {seed}: {finished.text}"
    else:
        site.inv("deploy", "--resume", "--break-lock")

    found = counts(site)
    found.assert_sound()
    assert_at_rest(site)
    expected = {"resume": "old", "rollback": "new", "again": "old"}[after] if opened or after == "again" else found.note
    assert found.note == expected, f"seed {seed}: killed in {step}, then {after}"
    if found.note == "new":
        assert found.last >= before.last, "nothing of the data that was there is missing"


def test_the_kills_came_in_time(lane_of_data: Lane) -> None:
    """Most kills hit a restore at work; those that come too late prove nothing."""
    assert lane_of_data.landed.count(True) * 2 > len(lane_of_data.landed)


@pytest.mark.parametrize("seed", [0, *deep(*range(1, 60))])
def test_a_backup_that_is_killed(lane_of_data: Lane, tmp_path: Path, seed: int) -> None:
    """Killed at any moment, it has touched nothing, and leaves no file that could be taken for a backup."""
    site, dice = lane_of_data.site, random.Random(seed)
    live, out = started(site), tmp_path / "b.tar.gz"
    backup = site.start("backup", "--out", str(out))
    if seed % 2:
        _kill_beside(site, backup, shared=True)
    else:
        time.sleep(dice.uniform(0.5, 4))
        backup.kill(children=dice.random() < 0.5)
    ran = backup.wait()

    assert ran.code in {0, 4, -9}, ran.text
    assert out.exists() or ran.code != 0
    if out.exists():
        inside(out, tmp_path / "inside").assert_sound()
    assert started(site) == live
    until(lambda: _is_at_rest(site), 30, lambda: str(site.engine.named(site.project)))
    out.unlink(missing_ok=True)
    assert site.inv("backup", "--out", str(out)).code == 0
    inside(out, tmp_path / "again").assert_sound()


def _is_at_rest(site: Site) -> bool:
    try:
        assert_at_rest(site)
    except AssertionError:
        return False
    return True
