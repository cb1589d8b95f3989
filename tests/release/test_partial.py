"""Partial releases: failures happen before anything is public, and what is public is one consistent set."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.release.queries import ALWAYS, digests, is_public_write, listed, ok, planned, recorded
from tests.support.proxy import Proxy, Rule, status
from tests.support.steps import begins
from tests.support.world import World


def test_p1_a_service_that_fails_to_build_stops_all(world: World) -> None:
    """With one broken Dockerfile there is no version tag, no git tag and no float of any service."""
    world.clone.project.write("docker/two/Dockerfile", "FROM scratch\nCOPY not-there /content\n")
    world.clone.commit("one")

    ran = world.clone.release()

    assert ran.code == 4, ran.text
    assert "two failed" in ran.stderr
    assert (world.public().git, world.public().images) == ({}, {})


def test_p2_floats_name_one_set_until_all_is_published(faulty: World, proxy: Proxy) -> None:
    """If publishing stops between two tags, both services' floats name the previous release; resuming finishes it."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    faulty.clone.commit("two")
    proxy.rules = [Rule("PUT .*/two/manifests/0.1.1", status(403), times=ALWAYS)]
    ran = faulty.clone.release()
    assert ran.code == 10, ran.text
    assert "./inv release --resume" in ran.stderr
    assert set(digests(faulty, "0.1.1")) == {"one"}
    assert digests(faulty, "0.1") == digests(faulty, "0") == recorded(faulty, "v0.1.0")
    assert listed(faulty.clone)["v0.1.1"]["state"] == "interrupted"
    proxy.heal()

    ok(faulty.another().inv("release", "--resume"))

    assert digests(faulty, "0.1.1") == digests(faulty, "0.1") == digests(faulty, "0") == recorded(faulty, "v0.1.1")


@pytest.mark.parametrize("target", ["two", "release"])
def test_p3_p4_a_repository_that_takes_no_push_is_found_before_the_build(
    faulty: World, proxy: Proxy, target: str
) -> None:
    """The right to push is checked for each service and for the record before anything is built or claimed."""
    proxy.rules = [Rule(f"POST .*/{target}/blobs/uploads/", status(403), times=ALWAYS)]

    ran = faulty.clone.release()

    assert ran.code == 10, ran.text
    assert "refuses" in ran.stderr
    assert "✗ preflight" in ran.stderr
    assert begins("build") not in ran.stderr
    assert faulty.public().git == {}


def test_p4_a_remote_that_takes_no_tag_is_found_before_the_build(world: World) -> None:
    """The right to push a tag is checked too."""
    world.clone.git("remote", "set-url", "--push", "origin", str(world.folder / "nowhere"))

    ran = world.clone.release()

    assert ran.code == 3, ran.text
    assert "does not let us push a tag" in ran.stderr
    assert begins("build") not in ran.stderr


def test_p5_the_record_comes_after_every_tag_was_read_back(faulty: World, proxy: Proxy) -> None:
    """The record, written after all immutable tags and before the floats, marks the release as complete."""
    ok(faulty.clone.release())

    seen = [str(one) for one in proxy.seen]
    last = max(number for number, one in enumerate(seen) if re.search(r"HEAD .*/(one|two)/manifests/0\.1\.0 ", one))
    record = next(number for number, one in enumerate(seen) if re.search(r"PUT .*/release/manifests/0\.1\.0 ", one))
    floats = next(number for number, one in enumerate(seen) if re.search(r"PUT .*/manifests/0(\.1)? ", one))
    assert last < record < floats


def test_p6_a_rejected_branch_leaves_no_tag(make_world: Callable[..., World]) -> None:
    """If the branch is pushed too, the remote takes both or neither."""
    world = make_world(push_branch="true")
    other = world.another()
    other.commit("one")
    world.clone.project.write("docker/two/content", "here\n")
    world.clone.project.commit("fix: here")

    ran = world.clone.release()

    assert ran.code == 3, ran.text
    assert (world.git_tags(), world.public().images) == ({}, {})
    world.clone.git("pull", "--quiet", "--rebase", "origin", "main")
    ok(world.clone.release())
    heads = world.clone.git("ls-remote", "origin", "refs/heads/main").split()[0]
    assert heads == world.record("v0.1.0")["commit"]


def test_p7_a_failed_release_deletes_nothing(faulty: World, proxy: Proxy) -> None:
    """Nothing is rolled back, because nothing is public before the claim: no manifest is deleted."""
    ok(faulty.clone.release())
    before = faulty.public()
    faulty.clone.commit("one")
    hook = faulty.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    proxy.heal()

    assert faulty.clone.release().code == 3

    assert faulty.public() == before
    assert [str(one) for one in proxy.seen if is_public_write(str(one))] == []


def test_p8_an_incomplete_release_is_finished_before_the_next(faulty: World, proxy: Proxy) -> None:
    """The next release detects the interrupted one, finishes it, and counts from it."""
    proxy.rules = [Rule("PUT .*/one/manifests/0.1.0", status(403), times=ALWAYS)]
    assert faulty.clone.release().code == 10
    proxy.heal()
    faulty.clone.commit("two")
    assert planned(faulty.clone)["unfinished"] == ["v0.1.0"]

    ok(faulty.clone.release())

    assert [listed(faulty.clone)[tag]["state"] for tag in ("v0.1.0", "v0.1.1")] == ["complete", "complete"]
    assert faulty.record("v0.1.1")["previous"] == "0.1.0"


def test_p9_read_only_commands_write_nothing(faulty: World, proxy: Proxy) -> None:
    """A dry run, a saved plan and a build without --push send nothing to the registry and push nothing to git."""
    planned(faulty.clone)
    ok(faulty.clone.inv("release", "--plan", ".uc/plan.json"))
    ok(faulty.clone.inv("build"))

    assert [str(one) for one in proxy.seen if one.method not in {"GET", "HEAD"}] == []
    assert faulty.git_tags() == {}


def test_an_interrupted_release_can_be_withdrawn(faulty: World, proxy: Proxy) -> None:
    """After a yank of an incomplete release the next one proceeds without it; its version stays taken."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    proxy.rules = [Rule("PUT .*/two/manifests/0.1.1", status(403), times=ALWAYS)]
    assert faulty.clone.release().code == 10
    proxy.heal()

    ok(faulty.clone.inv("yank", "0.1.1", "--reason", "registry lost it"))

    assert "nothing was interrupted" in ok(faulty.clone.inv("release", "--resume")).stderr
    assert digests(faulty, "0.1") == recorded(faulty, "v0.1.0")
    ok(faulty.clone.release("--bump", "patch"))
    assert digests(faulty, "0.1") == recorded(faulty, "v0.1.2")
    assert set(digests(faulty, "0.1.1")) == {"one"}


def test_only_what_changed_is_sent(faulty: World, proxy: Proxy) -> None:
    """If one of two services changed, the other gets no upload, no mount from elsewhere and no manifest by digest.

    The right to push its tag is proven by one mount of a blob that it has.
    """
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    proxy.heal()

    ok(faulty.clone.release())

    uploads = [one for one in map(str, proxy.seen) if re.search(r"(PUT|PATCH) .*/two/(blobs|manifests/sha256:)", one)]
    assert uploads == []
    assert (
        proxy.count(r"POST .*/two/blobs/uploads/\?mount")
        == proxy.count(r"POST .*/two/blobs/uploads/\?mount.*/two ")
        <= 1
    )
    assert digests(faulty, "0.1.1")["two"] == digests(faulty, "0.1.0")["two"]


def test_a_tag_costs_one_put_and_one_read_back(faulty: World, proxy: Proxy) -> None:
    """Publishing staged candidates fetches no manifest again: each tag is looked up, written once and read back."""
    ok(faulty.clone.release())

    seen = [str(one) for one in proxy.seen]
    start = next(number for number, one in enumerate(seen) if re.search(r"PUT .*/(one|two)/manifests/0\.1\.0 ", one))
    assert [one for one in seen[start:] if re.search(r"GET .*/(one|two)/manifests/", one)] == []
    for name in ("one", "two"):
        for tag in ("0.1.0", "0.1", "0"):
            assert proxy.count(f"PUT .*/{name}/manifests/{re.escape(tag)} ") == 1
            assert proxy.count(f"HEAD .*/{name}/manifests/{re.escape(tag)} ") <= 3  # by the plan, before, after
