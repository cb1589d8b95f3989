"""What others do to a release repository: foreign images, another registry name, an overzealous clean-up."""

from __future__ import annotations

import pytest

from tests.release.queries import INDEX, OTHER, digests, listed, ok, recorded
from tests.support.proxy import Proxy
from tests.support.world import World


def _repository(world: World) -> str:
    return f"{world.namespace}/release"


@pytest.mark.parametrize("copied", [False, True])
def test_an_image_among_the_records_is_not_a_release(world: World, copied: bool) -> None:
    """An image, or another version's record, under one of our versions is listed as foreign, gets no float, and its number
    is not used again; releases continue."""
    ok(world.clone.release())
    world.hub.put(
        _repository(world), "2.0.0", *(world.hub.raw(_repository(world), "0.1.0") if copied else (OTHER, INDEX))
    )
    world.clone.commit("one")

    ok(world.clone.release())

    ok(world.clone.inv("release", "--resume"))
    states = {one["version"]: one["state"] for one in listed(world.clone).values()}
    assert states == {"2.0.0": "foreign", "0.1.1": "complete", "0.1.0": "complete"}
    assert digests(world, "0.1") == digests(world, "0") == recorded(world, "v0.1.1")
    assert digests(world, "2") == {}
    assert world.clone.release("--version", "2.0.0").code == 15


def test_an_image_in_a_record_s_place_is_reported(world: World) -> None:
    """`up` of a version whose record was replaced by an image names it, without a traceback."""
    ok(world.clone.release())
    world.hub.put(_repository(world), "0.1.0", OTHER, INDEX)

    ran = world.clone.inv("up", "--release", "0.1.0")

    assert ran.code == 10, ran.text
    assert f"{_repository(world)}:0.1.0 is not of type application/vnd.unity-claude.release" in ran.stderr
    assert listed(world.clone)["v0.1.0"]["state"] == "interrupted"
    assert "the version is burned" in world.clone.inv("release", "--resume").stderr


def test_a_registry_under_another_name(world: World, proxy: Proxy) -> None:
    """A release made under another address is one here, and runs from here by digest, if its images are here.

    A record alone is foreign.
    """
    ok(world.clone.release())
    other = world.another()
    other.git("tag", "--delete", "v0.1.0")
    elsewhere = {"UC_REGISTRY_ADDRESS": proxy.address}

    (here,) = ok(other.inv("releases", "--json", **elsewhere)).result
    planned = ok(other.inv("up", "--release", "0.1.0", "--dry-run", "--json", **elsewhere)).result

    assert (here["state"], here["made_in"]) == ("complete", f"{world.address}/{world.namespace}")
    images = {service["image"] for service in planned["compose"]["services"].values()}
    assert images == {
        f"{proxy.address}/{world.namespace}/{name}@{digest}" for name, digest in digests(world, "0.1.0").items()
    }

    world.hub.delete(f"{world.namespace}/one", digests(world, "0.1.0")["one"])
    up = other.inv("up", "--release", "0.1.0", **elsewhere)
    assert up.code == 14, up.text
    assert f"was made in {world.address}" in up.stderr
    world.hub.delete(f"{world.namespace}/two", digests(world, "0.1.0")["two"])
    (here,) = ok(other.inv("releases", "--json", **elsewhere)).result
    assert here["state"] == "foreign"


def test_a_yank_counts_when_its_reason_is_lost(world: World) -> None:
    """A withdrawn release is refused by its mark, even if a clean-up deleted the reason."""
    ok(world.clone.release())
    ok(world.clone.inv("yank", "0.1.0", "--reason", "loses events"))
    (layer,) = world.hub.manifest(_repository(world), "0.1.0-yanked")["layers"]
    assert world.hub.forget(_repository(world), layer["digest"]) == 202

    ran = world.clone.inv("up", "--release", "0.1.0")

    assert ran.code == 14, ran.text
    assert "was withdrawn" in ran.stderr
    assert listed(world.clone)["v0.1.0"]["state"] == "yanked"
