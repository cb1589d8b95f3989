"""A release that a bundle brought to another registry is a release there, under whatever namespace it was loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.release.bundled import Origin, Site, closed_place
from tests.release.queries import ok
from tests.support.policies import three_parts
from tests.support.proxy import Proxy
from tests.support.server import free_address
from tests.support.world import SERVICES

NAMESPACE = "site/of-another"


@pytest.fixture(scope="module")
def loaded(origin: Origin, registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place with both releases, under another namespace than they were made in; nothing in it is withdrawn."""
    with closed_place(origin, registry_program, tmp_path_factory.mktemp("loaded")) as place:
        _load(place, origin)
        yield place


def _load(place: Site, origin: Origin) -> None:
    place.environment["UC_REGISTRY_NAMESPACE"] = NAMESPACE
    for bundle in (origin.bundle, origin.newer):
        ok(place.inv("bundle.load", str(bundle)))


def test_every_command_that_reads_a_release_reads_a_loaded_one(origin: Origin, loaded: Site) -> None:
    """It is listed as complete, with where it was made; its images, packages, difference and proofs are read there."""
    releases = ok(loaded.inv("releases", "--json")).result

    home = f"{origin.world.address}/{origin.world.namespace}"
    assert [(one["version"], one["state"], one["made_in"]) for one in releases] == [
        ("0.1.1", "complete", home), ("0.1.0", "complete", home),
    ]  # fmt: skip
    assert ok(loaded.inv("verify", "0.1.1", "--json")).result["verified"] is True
    assert "one" in ok(loaded.inv("sbom", "0.1.0", "--service", "one")).stdout
    (difference,) = ok(loaded.inv("diff", "0.1.0", "0.1.1", "--json")).result
    assert {one["service"]: (one["change"], one["notes"]) for one in difference["services"]} == {
        "one": ("changed", []), "two": ("same", []),
    }  # fmt: skip
    assert {one["service"] for one in ok(loaded.inv("scan", "--release", "0.1.0", "--json")).result} == {*SERVICES}


def test_a_loaded_release_is_carried_on_as_it_came(origin: Origin, loaded: Site, tmp_path: Path) -> None:
    """A bundle of it, written in the place that it was loaded into, is the bundle that it came in, byte for byte."""
    signing = {name: value for name, value in origin.keys.signing.items() if "PUBLIC" not in name}

    ok(loaded.inv("bundle.write", "0.1.0", "--out", str(tmp_path / "again.tar"), **signing))

    assert (tmp_path / "again.tar").read_bytes() == origin.bundle.read_bytes()


def test_a_registry_that_refuses_the_tags_has_what_they_name(origin: Origin, site: Site) -> None:
    """Bills of materials and attestations are there by digest: with the git tag, which names them, all verifies."""
    with Proxy(free_address("127.0.0.1"), site.registry.address) as proxy:
        proxy.rules = [three_parts(site.hub)]
        site.environment["UC_REGISTRY_ADDRESS"] = proxy.address

        ran = ok(site.inv("bundle.load", str(origin.bundle)))

        assert "takes no tags for signatures" in ran.stderr
        assert not [tag for tag in site.hub.tags(f"{site.namespace}/one") if tag.startswith("sha256-")]
        ok(site.inv("sbom", "0.1.0"))
        site.clone.git("fetch", "--quiet", str(origin.world.remote), "refs/tags/*:refs/tags/*")
        assert ok(site.inv("verify", "0.1.0", "--json")).result["verified"] is True


def test_the_next_release_stands_on_a_loaded_one_only_where_git_has_its_tag(origin: Origin, loaded: Site) -> None:
    """Without the git tag its number is taken, and that is all; with it, the plan says which images are its own."""
    without = _planned(loaded)
    loaded.clone.git("fetch", "--quiet", str(origin.world.remote), "refs/tags/*:refs/tags/*")
    loaded.clone.commit("two")

    with_tag = _planned(loaded)

    assert (without["previous"], without["version"]) == ("", "0.1.2")
    assert {one["action"] for one in without["services"]} == {"build"}
    assert (with_tag["previous"], with_tag["version"]) == ("0.1.1", "0.1.2")
    assert {one["service"]: one["why"] for one in with_tag["services"]} == {
        "one": "unchanged since 0.1.1", "two": "changed since 0.1.1",
    }  # fmt: skip


def test_a_loaded_release_is_withdrawn_where_it_was_loaded(origin: Origin, site: Site) -> None:
    """Its floats move back in the place that has it, and whoever asks for it there is warned."""
    _load(site, origin)

    ok(site.inv("yank", "0.1.1", "--reason", "broken"))

    floats = {site.hub.digest(f"{NAMESPACE}/{name}", "0.1") for name in (*SERVICES, "release")}
    assert floats == {site.hub.digest(f"{NAMESPACE}/{name}", "0.1.0") for name in (*SERVICES, "release")}
    assert "was withdrawn: broken" in ok(site.inv("verify", "0.1.1")).stderr
    assert site.inv("up", "--release", "0.1.1").code == 14


def _planned(site: Site) -> Any:
    (line,) = ok(site.inv("release", "--dry-run", "--json")).result["lines"]
    return line
