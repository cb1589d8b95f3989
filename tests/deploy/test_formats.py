"""Deploys and roll backs across a change of the format of data: no image starts on data that it can't read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.coherent import assert_at_rest, started
from tests.support.counting import SERVICE, VOLUME, Counting, counted, counts
from tests.support.deploying import Site
from tests.support.project import Ran


def _refused(ran: Ran, *words: str) -> None:
    assert ran.code == 18, ran.text
    assert "try:" in ran.stderr, "no remedy"
    for word in words:
        assert word in ran.stderr, ran.text


def test_a_release_has_the_format_that_its_image_states(counter: Site, releases_of_data: Counting) -> None:
    """The label of the Dockerfile is in the record of a real release, and the set that is deployed has it."""
    record = releases_of_data.releases.world.record(f"v{releases_of_data.first}")
    assert record["services"][SERVICE]["data"] == {VOLUME: {"writes": 1, "reads": 1}}
    counts(counter).assert_sound()


def test_up_a_format_and_back(counter: Site, releases_of_data: Counting) -> None:
    """An image that reads the old format goes on with the data; the way back is refused, or taken with the kept copy."""
    old, new = releases_of_data.first, releases_of_data.version("2 reads 1")
    deaf = releases_of_data.version("2")
    before = counted(counter)
    _refused(counter.deploy(deaf), VOLUME, "format 1", "reads only 2", f"--accept-data-loss {VOLUME}")
    _refused(counter.deploy(new, "--accept-data-loss", VOLUME), "no data of this volume is at stake")
    ran = counter.deploy(new, "--dry-run")
    assert ran.result["data"] == {VOLUME: {"written": 1, "wanted": 2, "loads": ""}}

    ran = counter.deploy(new)

    assert ran.code == 0, ran.text
    middle = counted(counter)
    middle.assert_sound()
    assert (middle.formats, middle.last > before.last) == ((1, 2), True)
    assert_at_rest(counter)
    live = started(counter)
    _refused(counter.rollback(), VOLUME, "format 2", "reads only 1", f"--accept-data-loss {VOLUME}", "./inv restore")
    _refused(counter.deploy(old, "--accept-data-loss", "counter"), "counter", VOLUME)
    assert started(counter) == live

    ran = counter.rollback("--accept-data-loss", VOLUME)

    assert ran.code == 0, ran.text
    after = counts(counter)
    after.assert_sound()
    assert after.formats == (1,), "it is the copy that was kept before the format was raised"
    assert before.last <= after.last
    assert_at_rest(counter)
    assert counter.status()["release"] == old


@pytest.mark.deep
def test_without_a_copy_the_accepted_loss_is_of_all_data(
    make_counter: Callable[..., Site], releases_of_data: Counting
) -> None:
    """A first set of a later format has no older copy: an older release begins anew, and only where that is accepted."""
    site = make_counter(releases_of_data.version("2 reads 1"))
    before = counted(site)

    ran = site.deploy(releases_of_data.first, "--accept-data-loss", VOLUME)

    assert ran.code == 0, ran.text
    after = counts(site)
    after.assert_sound()
    assert (before.formats, after.formats) == ((2,), (1,))


def test_a_deploy_that_fails_across_a_change_of_format(counter: Site, releases_of_data: Counting) -> None:
    """The new image raises the format, counts on and ends: the old one runs again, on the data that it left."""
    bad = releases_of_data.version("2 reads 1", crash=True)
    before = counted(counter)

    ran = counter.deploy(bad)

    assert ran.code == 16, ran.text
    assert f"DATA: {VOLUME}" in ran.stderr
    assert "is lost" in ran.document["error"]["message"]
    after = counts(counter)
    after.assert_sound()
    assert after.formats == (1,)
    assert before.last <= after.last, "what the old image wrote is all there"
    assert_at_rest(counter)


@pytest.mark.deep
def test_a_roll_back_that_fails_gives_the_accepted_data_back(counter: Site, releases_of_data: Counting) -> None:
    """A loss that was accepted for a roll back that then fails is none."""
    bad = releases_of_data.version("1", crash=True)
    new = releases_of_data.version("2 reads 1")
    assert counter.deploy(new).code == 0
    before = counted(counter)

    ran = counter.deploy(bad, "--accept-data-loss", VOLUME)

    assert ran.code == 16, ran.text
    after = counts(counter)
    after.assert_sound()
    assert (after.formats, before.last <= after.last) == ((1, 2), True)
    assert_at_rest(counter)
