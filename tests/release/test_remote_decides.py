"""The remote decides: its tags, its branches, what others can fetch; and a commit is released once on a line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.release.queries import ok, planned
from tests.support.proxy import Proxy, Rule, then
from tests.support.samples import deep
from tests.support.world import World, clean

REFUSED = "a release would be refused: "


@pytest.mark.parametrize(("annotated", "at"), [(True, "HEAD~1"), (False, "HEAD")])
def test_c2_a_tag_that_nobody_pushed_does_not_count(world: World, annotated: bool, at: str) -> None:
    """A version tag of this clone alone is named and left alone, in a release and in its dry run."""
    ok(world.clone.release())
    world.clone.commit("one")
    world.clone.git("tag", *(("--annotate", "--message", "mine") if annotated else ()), "v7.7.7", at)

    (line,) = planned(world.clone)["lines"]
    ran = ok(world.clone.release())

    assert line["version"] == "0.1.1"
    assert sorted(world.git_tags()) == ["v0.1.0", "v0.1.1"]
    assert "v7.7.7: origin has no such tag, so it does not count" in ran.stderr
    assert "v7.7.7" in world.clone.git("tag")


def test_c2_a_local_tag_in_the_way_of_the_next_version_is_named(world: World) -> None:
    """A tag of this clone with the name that is to be claimed stops the release before anything is built."""
    ok(world.clone.release())
    world.clone.commit("one")
    world.clone.git("tag", "v0.1.1", "HEAD~1")

    ran = world.clone.release()

    assert (ran.code, clean(ran.stderr)) == (3, True), ran.text
    assert "git tag --delete v0.1.1" in ran.stderr
    assert list(world.git_tags()) == ["v0.1.0"]


@pytest.mark.parametrize("task", [("release", "--skip-scan", "--skip-smoke"), ("release", "--dry-run"),
                                  ("release", "--resume"), ("yank", "0.1.0", "--reason", "x")])  # fmt: skip
def test_c3_a_remote_of_another_name_is_not_replaced_by_this_clone(world: World, task: tuple[str, ...]) -> None:
    """Without the remote of [release] nothing is released or withdrawn, and the error names those that are there."""
    ok(world.clone.release())
    world.clone.git("remote", "rename", "origin", "upstream")
    before = world.public()

    ran = world.clone.inv(*task)

    assert (ran.code, clean(ran.stderr)) == (3, True), ran.text
    assert "[release] remote is 'origin', and this clone has upstream" in ran.stderr
    assert 'release.remote = "upstream"' in ran.stderr
    assert world.public() == before


def _local(world: World) -> None:
    world.clone.project.commit("fix: not pushed")


def _reset(world: World) -> None:
    """A commit that another clone has replaced on the remote by a forced push."""
    world.clone.commit("one", "fix: replaced")
    world.clone.git("push", "--quiet", "--force", "origin", "HEAD~1:main")


def _other_branch(world: World) -> None:
    """A commit that the remote has, on a branch that does not release."""
    world.clone.project.commit("fix: elsewhere")
    world.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/feature")


def _tag_named_like_the_branch(world: World) -> None:
    """A commit that the remote has under a tag that is called main."""
    world.clone.project.commit("fix: tagged")
    world.clone.git("push", "--quiet", "origin", "HEAD:refs/tags/main")


@pytest.mark.parametrize("arrange", [_local, _other_branch, *deep(_reset, _tag_named_like_the_branch)])
def test_c4_a_commit_that_the_branch_lacks_is_not_released(world: World, arrange: Callable[[World], None]) -> None:
    """HEAD must be on the released branch of the remote; the dry run says so too."""
    ok(world.clone.release())
    world.clone.commit("two")
    arrange(world)

    ran, dry = world.clone.release(), world.clone.inv("release", "--dry-run")

    assert (ran.code, clean(ran.stderr)) == (3, True), ran.text
    assert re.search(r"origin does not have \w{7} on branch main", ran.stderr)
    assert (dry.code, REFUSED in dry.stderr) == (0, True), dry.text
    assert world.git_tags().keys() <= {"v0.1.0", "main"}


def test_c4_a_ci_job_may_not_name_a_branch_that_lacks_its_commit(world: World) -> None:
    """A detached HEAD counts as on the branch that CI names, and that branch on the remote must have it."""
    world.clone.git("switch", "--quiet", "--detach")
    world.clone.project.commit("fix: of a merge request")
    job = {"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main"}

    ran = world.clone.release(**job)

    assert ran.code == 3, ran.text
    assert "on branch main" in ran.stderr
    world.clone.git("checkout", "--quiet", "main")
    ok(world.clone.release(**job))


def test_c4_an_older_commit_of_a_stale_clone_is_on_the_branch(world: World) -> None:
    """A clone that lacks the branch's newest commits still releases one that the branch has."""
    stale = world.another()
    world.clone.commit("one")

    ok(stale.release())

    assert list(world.git_tags()) == ["v0.1.0"]


def test_c4_a_claim_is_read_back_from_where_others_fetch(world: World) -> None:
    """A remote that is pushed to another place than it is fetched from: refused before, or after the push noticed."""
    elsewhere = world.folder / "elsewhere.git"
    world.clone.git("clone", "--quiet", "--bare", str(world.remote), str(elsewhere))
    world.clone.git("remote", "set-url", "--push", "origin", str(elsewhere))

    ran = world.clone.release()

    assert (ran.code, clean(ran.stderr)) == (3, True), ran.text
    assert f"v0.1.0 was pushed, and {world.remote} does not have it" in ran.stderr
    assert world.public().images == {}
    ran = world.clone.release()
    assert ran.code == 3, ran.text
    assert f"origin is pushed to {elsewhere}, whose tags are not those of {world.remote}" in ran.stderr
    world.clone.git("remote", "set-url", "--push", "origin", str(world.remote))
    ok(world.clone.release())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_tag_that_is_pushed_meanwhile_makes_no_two_places(world: World, moment: str) -> None:
    """One repository under two addresses is one place, also if somebody pushes a tag between the looks at them."""
    clone, once = world.clone, world.folder / "once"
    tag = f'[ -e "{once}" ] || {{ touch "{once}"; git --git-dir="{world.remote}" tag other main; }}'
    answer = 'for command; do :; done; sh -c "$command"'
    over_ssh = world.folder / "over-ssh"
    over_ssh.write_text("\n".join(["#!/bin/sh", *([tag, answer] if moment == "before" else [answer, tag])]) + "\n")
    over_ssh.chmod(0o755)
    clone.git("config", "core.sshCommand", str(over_ssh))
    clone.git("config", "ssh.variant", "simple")
    clone.git("remote", "set-url", "--push", "origin", f"ssh://elsewhere{world.remote}")

    ok(clone.release())

    assert once.exists(), "the other address was read"
    assert "v0.1.0" in world.git_tags()


@pytest.mark.parametrize("arguments", [("--bump", "patch"), *deep((("--bump", "minor", "--pre", "rc"),))])
def test_c6_one_commit_is_released_once(world: World, arguments: tuple[str, ...]) -> None:
    """The same command again, here, in a fresh clone and after --resume, makes no second version of the commit."""
    ok(world.clone.release())
    world.clone.commit("one")
    ok(world.clone.release(*arguments))
    tags = sorted(world.git_tags())

    for clone in (world.clone, world.another()):
        again = ok(clone.release(*arguments))
        assert f"this commit is released as {tags[-1]}" in again.stderr
    ok(world.clone.inv("release", "--resume"))
    ok(world.clone.release(*arguments))

    assert (len(tags), sorted(world.git_tags())) == (2, tags)


def test_c6_killed_after_its_record_a_pre_release_is_not_made_again(faulty: World, proxy: Proxy) -> None:
    """Killed once the record is there, the same command finds the commit released."""
    running = faulty.clone.start("release", "--skip-scan", "--skip-smoke", "--bump", "minor", "--pre", "rc")
    proxy.rules = [Rule(r"PUT .*/release/manifests/\d", then(running.kill, before=False))]
    assert running.wait().code == -9
    proxy.heal()

    ok(faulty.clone.release("--bump", "minor", "--pre", "rc"))

    assert list(faulty.git_tags()) == ["v0.1.0-rc.1"]


def test_c6_another_channel_or_a_version_releases_the_commit_again(world: World) -> None:
    """rc, then the final release, then a given version: each is asked for by name."""
    ok(world.clone.release("--pre", "rc"))
    ok(world.clone.release())
    ok(world.clone.release("--version", "0.5.0"))

    assert sorted(world.git_tags()) == ["v0.1.0", "v0.1.0-rc.1", "v0.5.0"]


@pytest.mark.parametrize("flags", [("--bump", "minor"), ("--pre", "rc"), ("--version", "2.0.0"), ("--skip", "scan")])
def test_c10_resume_ignores_no_flag(world: World, flags: tuple[str, ...]) -> None:
    """--resume finishes what a record says: a flag that asks for something else is refused."""
    ran = world.clone.inv("release", "--resume", *flags)

    assert (ran.code, clean(ran.stderr)) == (14, True), ran.text
    assert f"it excludes {flags[0]}" in ran.stderr


def test_c10_a_dry_yank_knows_what_was_released(world: World) -> None:
    """`yank --dry-run` names the release that it would withdraw, and refuses one that never was."""
    ok(world.clone.release())

    dry = ok(world.clone.inv("yank", "0.1.0", "--reason", "x", "--dry-run"))
    never = world.clone.inv("yank", "9.9.9", "--reason", "x", "--dry-run")

    assert "0.1.0 would be withdrawn" in dry.stdout
    assert {line for line in dry.stderr.splitlines() if "would" in line} == {
        f"warning: {name} would still name 0.1.0: there is no other release for it" for name in ("0", "0.1")
    }
    assert (never.code, "was never released here" in never.stderr) == (14, True), never.text
