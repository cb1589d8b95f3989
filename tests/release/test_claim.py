"""Two concurrent releases: one gets the version, and the state of the remote and the registry afterwards decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from build.registry.oci import digest_of
from tests.release.queries import INDEX, OTHER, digests, ok, recorded
from tests.support.proxy import Answer, Proxy, Request, Rule, pretend, then
from tests.support.world import World, clean

STAGING = "PUT .*/one/manifests/sha256:"


def test_a1_the_loser_of_a_race_publishes_nothing(faulty: World, proxy: Proxy) -> None:
    """Another machine releases the same version between plan and claim: the first to claim gets it, the other stops."""
    other = faulty.another()
    other.commit("two")
    proxy.rules = [Rule(STAGING, then(lambda: ok(other.release()), before=True))]

    ran = faulty.clone.release()

    assert ran.code == 15, ran.text
    assert "nothing of this one was published" in ran.stderr
    assert digests(faulty, "0.1.0") == digests(faulty, "0.1") == recorded(faulty, "v0.1.0")
    assert faulty.record("v0.1.0")["commit"] == other.git("rev-parse", "HEAD")
    assert list(faulty.git_tags()) == ["v0.1.0"]


def test_a2_the_version_comes_from_the_remote_s_tags(world: World) -> None:
    """A clone that never fetched a release takes the version after it, not the same one."""
    stale = world.another()
    ok(world.clone.release())
    world.clone.commit("one")
    ok(world.clone.release())

    stale.git("switch", "--quiet", "--create", "0.1.x", "origin/main")
    stale.project.write("docker/two/content", "elsewhere\n")
    stale.share("fix: elsewhere")
    ok(stale.release("--bump", "patch"))

    assert world.record("v0.1.2")["commit"] == stale.git("rev-parse", "HEAD")


def test_a2_a_tag_that_appears_before_the_claim_is_seen(faulty: World, proxy: Proxy) -> None:
    """The version is recomputed against the remote right before the claim, whoever made the tag."""
    other = faulty.another()

    def push_tag() -> None:
        other.git("tag", "v0.1.0")
        other.git("push", "--quiet", "origin", "v0.1.0")

    proxy.rules = [Rule(STAGING, then(push_tag, before=True))]

    ran = faulty.clone.release()

    assert ran.code == 15, ran.text
    assert "v0.1.0" in ran.stderr
    assert faulty.public().images == {}


@pytest.mark.parametrize("same_clone", [False, True])
def test_a2_a_version_that_is_taken_before_the_preflight_is_lost(
    faulty: World, proxy: Proxy, *, same_clone: bool
) -> None:
    """Taken between the plan and the proof of rights, it is a lost race (15), not a remote that refuses (3)."""
    first = faulty.clone if same_clone else faulty.another()

    def take() -> None:
        first.git("tag", "--message", "another", "v0.1.0")
        first.git("push", "--quiet", "origin", "v0.1.0")

    proxy.rules = [Rule(r"^POST .*/blobs/uploads/", then(take, before=True))]

    ran = faulty.clone.release()

    assert (ran.code, clean(ran.stderr)) == (15, True), ran.text
    assert "v0.1.0 was taken while this release was made; nothing of it was published" in ran.stderr
    assert "preflight (" in ran.stderr.splitlines()[-3], "found by the proof of rights"
    assert faulty.public().images == {}


def test_a3_a_tag_that_was_acknowledged_and_lost_is_put_again(faulty: World, proxy: Proxy) -> None:
    """A 201 proves nothing: each tag is read back, for versions, record and floats."""
    proxy.rules = [
        Rule("PUT .*/one/manifests/0.1.0", pretend),
        Rule("PUT .*/release/manifests/0.1.0", pretend),
        Rule("PUT .*/two/manifests/0.1$", pretend),
    ]

    ok(faulty.clone.release())

    assert digests(faulty, "0.1.0") == digests(faulty, "0.1") == digests(faulty, "0") == recorded(faulty, "v0.1.0")
    assert all(rule.taken == 1 for rule in proxy.rules)


def test_a3_a_success_that_kept_another_s_image_is_noticed(faulty: World, proxy: Proxy) -> None:
    """If a registry accepts two racing writes and keeps one, the other release finds a burned version and does not
    overwrite it.
    """

    def keep_other(request: Request) -> Answer:
        faulty.hub.put(f"{faulty.namespace}/one", "0.1.0", OTHER, INDEX)
        return Answer(201)

    proxy.rules = [Rule("PUT .*/one/manifests/0.1.0", keep_other)]

    ran = faulty.clone.release()

    assert ran.code == 15, ran.text
    assert digest_of(OTHER) in ran.stderr
    assert faulty.hub.digest(f"{faulty.namespace}/one", "0.1.0") == digest_of(OTHER)
    assert faulty.hub.tags(f"{faulty.namespace}/release") == []


def test_a4_an_unchanged_image_is_taken_by_digest(world: World) -> None:
    """The record's digest is released again, even if someone moved its tag."""
    ok(world.clone.release())
    wanted = recorded(world, "v0.1.0")["two"]
    for name in ("0.1.0", "0.1", "0"):
        world.hub.put(f"{world.namespace}/two", name, OTHER, INDEX)
    world.clone.commit("one")

    ok(world.clone.release())

    assert digests(world, "0.1.1")["two"] == digests(world, "0.1")["two"] == wanted


def test_a_refused_tag_leaves_nothing(world: World) -> None:
    """If a hook refuses the tag, its message is shown, nothing is public, and no tag stays in the clone."""
    hook = world.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'releases are frozen' >&2\nexit 1\n")
    hook.chmod(0o755)

    ran = world.clone.release()

    assert ran.code == 3, ran.text
    assert "releases are frozen" in ran.stderr
    assert (world.public().git, world.public().images) == ({}, {})
    assert world.clone.git("tag") == ""


def test_without_a_remote_this_repository_decides(make_world: Callable[..., World]) -> None:
    """With no remote configured the local tag is the claim."""
    world = make_world(remote='""')

    ok(world.clone.release())

    assert world.git_tags() == {}
    assert world.clone.git("tag") == "v0.1.0"
    assert set(digests(world, "0.1.0")) == {"one", "two"}
