"""What a swarm keeps for a target: secrets, the journal."""

from __future__ import annotations

import hashlib

import pytest

from build.errors import SecretError
from tests.support.nodes import Nodes
from tests.support.swarm_site import SwarmSite


def test_a_secret_stays_while_a_kept_set_names_it(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """A new value is a new secret; the old one goes when no set needs it any more, and no service has it."""
    swarm_place.project.append('secrets = ["alpha"]\n')
    place = swarm_place.changed(secrets="values")
    file = place.project.write("values/alpha", "first\n")
    first = place.wanted({"web": swarm_images["good"]})
    place.bring(first)
    file.write_text("second\n")
    second = place.target.renewed(first, "alpha")
    place.bring(second)
    names = [f"{place.name}_alpha_{hashlib.sha256(value).hexdigest()[:12]}" for value in (b"first\n", b"second\n")]
    assert [each.specs["web"].secrets["alpha"] for each in (first, second)] == names
    assert place.inside("web", "cat", "/run/secrets/alpha") == "second"

    place.target.sweep([first, second])
    assert set(names) <= set(swarm.first.docker("secret", "ls", "--format", "{{.Name}}").split())
    place.target.sweep([])
    assert set(names) & set(swarm.first.docker("secret", "ls", "--format", "{{.Name}}").split()) == {names[1]}


def test_a_roll_back_to_a_secret_that_is_gone_is_refused(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """Before anything is touched; with the values in force the same set may come."""
    swarm_place.project.append('secrets = ["alpha"]\n')
    place = swarm_place.changed(secrets="values")
    file = place.project.write("values/alpha", "first\n")
    first = place.wanted({"web": swarm_images["good"]})
    file.write_text("second\n")
    second = place.wanted({"web": swarm_images["good"]})
    place.bring(second)

    (problem,) = place.target.problems(first)
    assert "alpha" in problem.message and "is gone" in problem.message
    assert list(place.target.problems(place.target.with_values_in_force(first, second))) == []


def test_a_secret_without_a_file_keeps_its_value(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """Another machine deploys without the secrets; a secret that has never had a value is an error."""
    swarm_place.project.append('secrets = ["alpha"]\n')
    place = swarm_place.changed(secrets="values")
    file = place.project.write("values/alpha", "first\n")
    first = place.wanted({"web": swarm_images["good"]})
    file.unlink()

    assert place.wanted({"web": swarm_images["newer"]}, first).specs["web"].secrets == first.specs["web"].secrets
    with pytest.raises(SecretError, match="alpha"):
        place.wanted({"web": swarm_images["newer"]})


def test_an_empty_external_secret_is_a_line_end(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """A swarm takes no empty secret, and the service reads it as one."""
    manifest = swarm_place.project.root / "versions.toml"
    manifest.write_text(manifest.read_text().replace('alpha = "random"', 'alpha = "external"'))
    swarm_place.project.append('secrets = ["alpha"]\n')
    place = swarm_place.changed(secrets="values")
    place.project.write("values/alpha", "")

    place.bring(place.wanted({"web": swarm_images["good"]}))

    assert place.inside("web", "perl", "-e", 'print -s "/run/secrets/alpha"') == "1"


def test_the_store_is_exclusive_and_seen_from_every_manager(swarm_place: SwarmSite, swarm: Nodes) -> None:
    """Two writers of one name: the second one loses; removing is by identity."""
    store, other = swarm_place.target.store, swarm_place.changed(host=swarm.all[2].host).target.store

    assert store.create("lock", {"who": "a"}, exclusive=True)
    assert not other.create("lock", {"who": "b"}, exclusive=True)
    (item,) = other.items()
    assert (item.name, item.content) == ("lock", {"who": "a"})
    store.remove(item)
    assert other.create("lock", {"who": "b"}, exclusive=True)
    store.remove(item)
    assert [item.content for item in store.items()] == [{"who": "b"}]
