"""A commit that a newer release already contains: releasing it as a higher version would revert changes."""

from __future__ import annotations

from tests.release.queries import digests, ok, planned, recorded
from tests.support.world import Clone, World


def _overtaken(world: World, later: str = "fix: later", *arguments: str) -> Clone:
    """0.1.0, then two commits of which the later is released; returns a checkout of the earlier one on main."""
    ok(world.clone.release())
    earlier = world.clone.commit("one")
    world.clone.commit("two", later)
    ok(world.clone.release(*arguments))
    job = world.another()
    job.git("checkout", "--quiet", "-B", "main", earlier)
    return job


def test_a_late_job_of_an_older_commit_releases_nothing(world: World) -> None:
    """A job that waited or was rerun says which version contains its commit, and succeeds; floats stay on the newer one."""
    job = _overtaken(world)
    before = world.public()

    for arguments in ((), ("--bump", "patch"), ("--pre", "rc")):
        ran = ok(job.release(*arguments))
        assert "nothing to release: this commit is in v0.1.1 already" in ran.stderr
    assert planned(job)["lines"] == []
    assert world.public() == before

    ok(job.release("--version", "0.1.2"))
    assert world.record("v0.1.2")["commit"] == job.git("rev-parse", "HEAD")


def test_a_withdrawn_release_does_not_count(world: World) -> None:
    """After a yank the commit before the broken one can be released."""
    job = _overtaken(world)
    ok(world.clone.inv("yank", "0.1.1", "--reason", "broken"))

    ok(job.release())

    assert world.record("v0.1.2")["commit"] == job.git("rev-parse", "HEAD")
    assert digests(world, "0.1") == recorded(world, "v0.1.2")


def test_a_maintenance_branch_releases_what_a_later_series_has(world: World) -> None:
    """On main the commit is already in 0.2.0; a branch for 0.1 may release it, and the float 0 stays where it is."""
    job = _overtaken(world, "feat: later")
    assert "in v0.2.0 already" in ok(job.release()).stderr

    job.git("switch", "--quiet", "--create", "0.1.x")
    job.git("push", "--quiet", "origin", "0.1.x")
    ok(job.release())

    assert digests(world, "0.1") == recorded(world, "v0.1.1")
    assert digests(world, "0") == recorded(world, "v0.2.0")


def test_a_pre_release_of_a_later_version_does_not_hold_a_patch_back(world: World) -> None:
    """0.2.0-rc.1 contains the commit and 0.1.1 ranks below it; a version above the rc must contain its changes."""
    job = _overtaken(world, "feat: later", "--pre", "rc")

    assert "in v0.2.0-rc.1 already" in ok(job.release("--bump", "minor")).stderr
    ok(job.release())

    assert sorted(world.git_tags()) == ["v0.1.0", "v0.1.1", "v0.2.0-rc.1"]
