"""The checkout changes during a release: either exactly the commit is published, or nothing is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.release.queries import digests, ok, planned, recorded
from tests.support.proxy import Proxy, Rule, then
from tests.support.steps import begins
from tests.support.world import FAST, World

STAGING = "PUT .*/one/manifests/sha256:"


def _edit(world: World) -> None:
    world.clone.project.write("docker/one/content", "not committed\n")


def _add(world: World) -> None:
    world.clone.project.write("docker/one/stray", "not in git\n")


def _ignored(world: World) -> None:
    world.clone.project.write("docker/one/__pycache__/stray", "ignored by git, sent by the build\n")


def _commit(world: World) -> None:
    world.clone.project.commit("chore: later")


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (_edit, "docker/one/content"),
        (_add, "docker/one/stray (not in the commit)"),
        (_ignored, "docker/one/__pycache__/ (ignored by git and still sent)"),
        (_commit, "HEAD is "),
    ],
)
def test_what_moves_while_images_are_built_stops_the_release(
    world: World, move: Callable[[World], None], reason: str
) -> None:
    """Content that is not in the commit never gets its version: nothing is staged, and what changed is named."""
    running = world.clone.start("release", *FAST).when(begins("build"), lambda: move(world), held=True)

    ran = running.wait()

    assert ran.code == 14, ran.text
    assert f"this changed while the images were built: {reason}" in ran.stderr
    assert begins("stage") not in ran.stderr
    assert (world.public().git, world.public().images) == ({}, {})


def test_an_image_of_an_edited_file_is_not_reused_later(world: World) -> None:
    """A refused build leaves nothing that the next release would mistake for the commit's images."""
    running = world.clone.start("release", *FAST).when(begins("build"), lambda: _edit(world), held=True)
    assert running.wait().code == 14
    world.clone.git("checkout", "--quiet", ".")

    assert {one["action"] for one in planned(world.clone)["lines"][0]["services"]} == {"build"}
    ok(world.clone.release())
    assert digests(world, "0.1.0") == recorded(world, "v0.1.0")


def test_an_edit_is_seen_where_nothing_is_built(world: World) -> None:
    """Reused or built, an image must match the commit's sources: they are checked again either way."""
    ok(world.clone.release())
    world.clone.touch()
    running = world.clone.start("release", *FAST, "--bump", "patch")

    ran = running.when(begins("build"), lambda: _edit(world), held=True).wait()

    assert ran.code == 14, ran.text
    assert list(world.git_tags()) == ["v0.1.0"]


def test_the_pushed_branch_is_the_released_commit(make_world: Callable[..., World], proxy: Proxy) -> None:
    """A commit made after the build is not pushed with the tag: branch and tag are one commit on the remote."""
    world = make_world(proxy.address, push_branch="true")
    released = world.clone.project.commit("fix: more")
    proxy.rules = [Rule(STAGING, then(lambda: _commit(world), before=True))]

    ok(world.clone.release())

    assert world.record("v0.1.0")["commit"] == released
    assert world.clone.git("ls-remote", "origin", "refs/heads/main").split()[0] == released
