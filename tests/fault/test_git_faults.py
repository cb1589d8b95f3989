"""A remote that refuses, is unreachable, stops answering, or has another tag: a clean error and no partial release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.invariants import assert_invariants, assert_nothing_new
from tests.support.policies import ALWAYS
from tests.support.project import Ran
from tests.support.proxy import Proxy, Rule, instead
from tests.support.steps import begins
from tests.support.world import FAST, Clone, World, clean

_CLAIM = begins("claim")


def _hook(repository: Path, name: str, script: str) -> Path:
    path = repository / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def _assert_refused(world: World, ran: Ran, code: int, before: object) -> None:
    assert ran.code == code, ran.text
    assert clean(ran.stderr), ran.text
    assert_nothing_new(world, before)
    assert_invariants(world)


def _assert_completes(world: World, version: str = "v0.1.0", clone: Clone | None = None) -> None:
    ran = (clone or world.clone).release()
    assert ran.code == 0, ran.text
    assert version in world.public().git
    assert_invariants(world)


def _killed_before_it_publishes(world: World, proxy: Proxy, version: str) -> None:
    """Kill a release at its first tags, which never reach the registry."""
    running = world.clone.start("release", *FAST)
    proxy.rules = [Rule(rf"^PUT .*/manifests/{version}$", instead(running.kill), times=ALWAYS)]
    assert running.wait().code == -9
    proxy.heal()


@pytest.mark.parametrize("name", ["pre-receive", "update"])
def test_a_remote_whose_hook_refuses_the_tag(world: World, name: str) -> None:
    """Exit 3 with the hook's message; nothing is public, and without the hook the next run takes the same version."""
    hook = _hook(world.remote, name, "echo 'tags are frozen this week' >&2; exit 1")
    before = world.public()

    ran = world.clone.release()

    _assert_refused(world, ran, 3, before)
    assert "tags are frozen this week" in ran.stderr
    hook.unlink()
    _assert_completes(world)


def test_a_local_hook_that_refuses(world: World) -> None:
    """A pre-push hook in the clone that refuses stops the release before anything is built."""
    hook = _hook(world.clone.project.root / ".git", "pre-push", "echo 'not on a Friday' >&2; exit 1")
    before = world.public()

    ran = world.clone.release()

    _assert_refused(world, ran, 3, before)
    assert "not on a Friday" in ran.stderr
    assert begins("build") not in ran.stderr
    hook.unlink()
    _assert_completes(world)


def test_a_remote_that_is_away_from_the_start(world: World) -> None:
    """Ownership of a version can't be determined: exit 3, and the command that checks the remote."""
    before = world.public()
    world.remote.rename(world.folder / "away")

    ran = world.clone.release()

    (world.folder / "away").rename(world.remote)
    _assert_refused(world, ran, 3, before)
    assert "git ls-remote origin" in ran.stderr
    _assert_completes(world)


@pytest.mark.parametrize("step", [begins("preflight"), begins("stage"), _CLAIM])
def test_a_remote_that_goes_away_on_the_way(world: World, step: str) -> None:
    """Exit 3, nothing is public; once the remote is back the next run completes."""
    before = world.public()
    running = world.clone.start("release", *FAST)
    running.when(step, lambda: world.remote.rename(world.folder / "away"), held=True)

    ran = running.wait()

    (world.folder / "away").rename(world.remote)
    _assert_refused(world, ran, 3, before)
    _assert_completes(world)


def test_a_push_whose_answer_is_lost(world: World) -> None:
    """The remote took the tag and the connection broke: the remote's state counts, and the release continues."""
    _hook(world.remote, "post-receive", "kill -9 $(ps -o ppid= -p $PPID) $PPID")

    ran = world.clone.release()

    assert set(world.public().git) == {"v0.1.0"}
    assert ran.code == 0, ran.text
    assert_invariants(world)


def test_a_remote_that_dies_with_the_tag(world: World) -> None:
    """The remote took the tag and went down: the error says so, nothing is published, and --resume finishes it later."""
    _hook(world.remote, "post-receive", f'mv "{world.remote}" "{world.folder / "away"}"; kill -9 $PPID')

    ran = world.clone.release()

    (world.folder / "away").rename(world.remote)
    assert ran.code == 3, ran.text
    assert clean(ran.stderr), ran.text
    assert "is unknown: it stopped answering" in ran.stderr
    assert "./inv release --resume" in ran.stderr
    assert world.public().images == {}
    (world.remote / "hooks" / "post-receive").unlink()
    other = world.another().inv("release", "--resume")
    assert other.code == 0, other.text
    assert_invariants(world)


def test_the_same_version_is_pushed_between_plan_and_claim(world: World) -> None:
    """Exit 15, nothing of ours is public, and the next run takes the next version."""
    running = world.clone.start("release", *FAST, "--bump", "patch")
    running.when(begins("stage"), lambda: _foreign(world, "v0.1.0"), held=True)

    ran = running.wait()

    assert ran.code == 15, ran.text
    assert clean(ran.stderr), ran.text
    assert world.public().images == {}
    again = world.clone.release("--bump", "patch")
    assert again.code == 0, again.text
    assert "v0.1.1" in world.public().git
    assert_invariants(world)


@pytest.mark.parametrize("moment", ["before the push asks", "after it asked"])
def test_the_same_version_is_pushed_in_the_last_moment(world: World, moment: str) -> None:
    """A tag that appears after our last check is detected by the push itself, which never overwrites: exit 15."""
    theirs = 'git update-ref refs/tags/v0.1.0 "$(git rev-parse main)"'
    script = f'cd "{world.remote}" && if [ -f armed ]; then rm armed; {theirs}; fi'
    if moment == "after it asked":
        _hook(world.clone.project.root / ".git", "pre-push", script)
    else:
        program = _hook(world.clone.project.root / ".git", "receive", f'{script}; exec git-receive-pack "$@"')
        world.clone.git("config", "remote.origin.receivepack", str(program))
    running = world.clone.start("release", *FAST)
    running.when(_CLAIM, (world.remote / "armed").touch)

    ran = running.wait()

    assert ran.code == 15, ran.text
    assert clean(ran.stderr), ran.text
    assert world.public().images == {}
    assert world.record("v0.1.0") is None


def test_a_higher_version_is_pushed_between_plan_and_claim(world: World) -> None:
    """A patch must rank above the versions others took: a plan that would not is refused with exit 15."""
    assert world.clone.release().code == 0
    world.clone.commit("one")
    before = world.public()
    running = world.clone.start("release", *FAST)
    running.when(begins("stage"), lambda: _foreign(world, "v0.1.7"), held=True)

    ran = running.wait()

    assert ran.code == 15, ran.text
    assert world.public().images == before.images
    again = world.clone.release()
    assert again.code == 0, again.text
    assert "v0.1.8" in world.public().git
    assert_invariants(world)


def test_a_higher_series_does_not_matter(world: World) -> None:
    """Someone else's 1.0.0 does not affect our 0.1.1."""
    assert world.clone.release().code == 0
    world.clone.commit("one")
    running = world.clone.start("release", *FAST)
    running.when(begins("stage"), lambda: _foreign(world, "v1.0.0"), held=True)

    ran = running.wait()

    assert ran.code == 0, ran.text
    assert_invariants(world)


def _foreign(world: World, tag: str) -> None:
    """Create a lightweight tag that no release made, on a commit that is not ours."""
    remote = ("--git-dir", str(world.remote))
    commit = world.clone.git(*remote, "commit-tree", "main^{tree}", "-m", f"Elsewhere {tag}")
    world.clone.git(*remote, "tag", tag, commit)


def test_a_local_tag_that_differs_from_the_remotes(world: World) -> None:
    """A local version tag that names another object than the remote's: exit 3, and the command that replaces it."""
    assert world.clone.release().code == 0
    other = world.another()
    other.git("tag", "--force", "v0.1.0", "HEAD")
    other.commit("one")
    before = world.public()

    ran = other.release()

    _assert_refused(world, ran, 3, before)
    assert "git fetch --tags --force origin" in ran.stderr
    other.git("fetch", "--quiet", "--tags", "--force", "origin")
    _assert_completes(world, "v0.1.1", other)


def test_a_tag_of_others_that_was_moved(world: World) -> None:
    """A release ignores tags such as `nightly` that were moved on the remote."""
    world.clone.git("tag", "nightly")
    world.clone.git("push", "--quiet", "origin", "nightly")
    world.clone.commit("one")
    world.clone.git("--git-dir", str(world.remote), "tag", "--force", "nightly", "main")

    _assert_completes(world)


def test_a_local_tag_with_a_record_that_the_remote_lacks(faulty: World, proxy: Proxy) -> None:
    """A tag that only this clone has is not a claim: the remote decides, and what was never claimed is not published."""
    world = faulty
    assert world.clone.release().code == 0
    world.clone.commit("one")
    _killed_before_it_publishes(world, proxy, "0.1.1")
    world.clone.git("--git-dir", str(world.remote), "tag", "--delete", "v0.1.1")
    world.memory.pop("git v0.1.1", None)

    ran = world.clone.release()

    assert ran.code in {0, 3}, ran.text
    assert_invariants(world)


def test_other_tags_are_not_pushed(world: World) -> None:
    """The push sends the release's tag and nothing else, whatever push.followTags says."""
    world.clone.git("config", "push.followTags", "true")
    world.clone.git("tag", "--annotate", "--message", "mine", "private")

    _assert_completes(world)

    assert set(world.public().git) == {"v0.1.0"}


def test_a_branch_that_is_behind_the_remote(make_world: Callable[..., World]) -> None:
    """With push_branch, a branch that is behind the remote's is refused before anything is built."""
    world = make_world(push_branch="true")
    other = world.another()
    other.commit("one")
    before = world.public()

    ran = world.clone.release()

    _assert_refused(world, ran, 3, before)
    assert begins("build") not in ran.stderr
    _assert_completes(world, clone=other)


def test_a_lock_that_a_killed_git_left(world: World) -> None:
    """A stale local tag lock is reported with git's own message, and does not stop what the remote has decided."""
    assert world.clone.release().code == 0
    world.clone.commit("one")
    lock = world.clone.project.root / ".git" / "refs" / "tags" / "v0.1.1.lock"
    lock.touch()

    ran = world.clone.release()

    assert "v0.1.1" in world.public().git, ran.text
    assert ran.code == 0, ran.text
    assert_invariants(world)


def test_without_a_remote_this_clone_decides(make_world: Callable[..., World], proxy: Proxy) -> None:
    """Without a remote the local tag is the claim, and can be killed and finished like any other."""
    world = make_world(proxy.address, remote='""')
    world.clone.git("remote", "remove", "origin")
    _killed_before_it_publishes(world, proxy, "0.1.0")
    assert world.public().images == {}

    ran = world.clone.release()

    assert ran.code == 0, ran.text
    assert world.clone.git("tag") == "v0.1.0"
    assert {"one:0.1.0", "two:0.1.0", "release:0.1.0", "one:0.1", "one:0"} <= set(world.public().images)
