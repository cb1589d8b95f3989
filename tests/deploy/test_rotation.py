"""Renewing a secret at a target: in place on Compose; nothing is written where the target would refuse."""

from __future__ import annotations

from tests.support.coherent import assert_at_rest, started
from tests.support.deploying import TARGET, Site


def test_a_secret_is_renewed_in_place(lane: Site) -> None:
    """The file gets a new first line and keeps the old value until --finish; no container is touched."""
    file, before = lane.secrets / "alpha", started(lane)
    value = file.read_text().strip()

    ran = lane.inv("secrets.rotate", "alpha", "--target", TARGET, "--json")
    lines = file.read_text().splitlines()
    ended = lane.inv("secrets.rotate", "alpha", "--target", TARGET, "--finish", "--json")

    assert (ran.code, ended.code) == (0, 0), ran.text + ended.text
    assert lines[1] == value
    assert lines[0] != value
    assert file.read_text().splitlines() == lines[:1]
    assert started(lane) == before
    assert_at_rest(lane)


def test_nothing_is_written_where_a_deploy_would_be_refused(lane: Site, site: Site) -> None:
    """With drift, and where nothing is deployed, the refusal comes before the file has changed."""
    before = (lane.secrets / "alpha").read_text()
    lane.engine.docker("rm", "--force", f"{lane.project}-web-1")

    drifted = lane.inv("secrets.rotate", "alpha", "--target", TARGET, "--json")
    empty = site.inv("secrets.rotate", "alpha", "--target", TARGET, "--json")

    assert (drifted.code, empty.code) == (18, 18), drifted.text + empty.text
    assert "web: was removed" in drifted.stderr
    assert (lane.secrets / "alpha").read_text() == before
