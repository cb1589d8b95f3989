"""Images that `build --push` made before a release: reused if they are the commit's, otherwise rebuilt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from build.git import history as git_history
from build.images import build, store
from build.images.plan import plan_build
from tests.release.queries import ok, planned
from tests.support.server import Registry
from tests.support.stack import clean
from tests.support.world import World


@pytest.fixture
def building(make_world: Callable[..., World], registry: Registry) -> Iterator[World]:
    """A world whose images are also in the engine; they are removed afterwards."""
    world = make_world()
    yield world
    clean(f"uct-{world.namespace}", registry.address)


def _labels(world: World, service: str, tag: str) -> dict[str, Any]:
    repository = f"{world.namespace}/{service}"
    image = world.hub.manifest(repository, world.hub.manifest(repository, tag)["manifests"][0]["digest"])
    config = json.loads(world.hub.blob(repository, image["config"]["digest"]) or b"")
    labels = config["config"]["Labels"]
    return {key.rpartition(".")[2]: value for key, value in labels.items()}


def test_images_of_a_clean_commit_are_reused(building: World) -> None:
    """A build of this commit, or of an ancestor with the same sources, is reused: nothing is built twice."""
    built = building.clone.git("rev-parse", "HEAD")
    ok(building.clone.inv("build", "--push"))
    assert {one["action"] for one in planned(building.clone)["lines"][0]["services"]} == {"reuse"}
    building.clone.share("chore: later")

    ok(building.clone.release())

    origins = {one["origin"] for one in building.record("v0.1.0")["services"].values()}
    assert origins == {f"built as 0.1.0-dev.1.g{built[:7]}"}


def test_images_of_an_edited_tree_are_built_again(building: World) -> None:
    """After a commit the sources are the same but the labels say .dirty and another commit, so the image is rebuilt."""
    building.clone.project.write("docker/one/content", "edited, committed later\n")
    ok(building.clone.inv("build", "--push"))
    building.clone.share("feat: edit")

    ok(building.clone.release())

    for service in ("one", "two"):
        labels = _labels(building, service, "0.1.0")
        assert (labels["version"], labels["revision"]) == ("0.1.0", building.clone.git("rev-parse", "HEAD"))


def test_images_of_a_missing_commit_are_built_again(building: World) -> None:
    """An image labelled with a commit that is not an ancestor of the released one is not reused."""
    ok(building.clone.inv("build", "--push"))
    building.clone.git("commit", "--quiet", "--amend", "--message", "feat: another start")
    building.clone.git("push", "--quiet", "--force", "origin", "main")

    ok(building.clone.release())

    assert _labels(building, "one", "0.1.0")["revision"] == building.clone.git("rev-parse", "HEAD")


def test_what_changed_while_it_was_built_is_built_again(building: World) -> None:
    """An image built while its sources changed is never reused for those sources."""
    manifest = building.clone.project.load()
    history = git_history.read(manifest)
    plan = plan_build(manifest, history, build.snapshots(manifest, history), {}, ["one", "two"])
    building.clone.project.write("docker/one/content", "written after that\n")

    images = build.bake_services(manifest, plan, ["one", "two"], push=True).images
    store.record(manifest, images)
    building.clone.git("checkout", "--quiet", ".")

    assert {name: image.fingerprint for name, image in images.items()} == {"one": "", "two": plan.fingerprints["two"]}
    (line,) = planned(building.clone)["lines"]
    assert {one["service"]: one["action"] for one in line["services"]} == {"one": "build", "two": "reuse"}
