"""A line of versions for each service: what it is built from bumps it, and several are claimed together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.release.queries import ALWAYS, listed, ok, planned
from tests.support.proxy import Proxy, Rule, status, then
from tests.support.world import World

NAMES = ("one", "two", "three")
SHARED = """
[stages.shared]
folder = "docker/shared"
target = "shared"

[services.three]
folder = "docker/three"
description = "A test"
port = 18982
contexts = { shared = "stage:shared" }
"""
ON_SHARED = "FROM scratch\nCOPY --from=shared /content /shared\nCOPY content /content\n"


def three(world: World) -> World:
    """The world with a third service; two and three stand on a shared stage."""
    project = world.clone.project
    text = (project.root / "versions.toml").read_text()
    head, _, two = text.partition("[services.two]")
    two = two.replace("port = 18981", 'port = 18981\ncontexts = { shared = "stage:shared" }')
    project.write("versions.toml", f"{head}[services.two]{two}{SHARED}")
    project.write("docker/shared/Dockerfile", "FROM scratch AS shared\nCOPY content /content\n")
    project.write("docker/shared/content", "shared\n")
    project.write("docker/two/Dockerfile", ON_SHARED)
    project.write("docker/three/Dockerfile", ON_SHARED)
    project.write("docker/three/content", "three\n")
    project.commit("feat: three")
    project.git("push", "--quiet", "origin", "main")
    return world


@pytest.fixture
def lines(make_world: Callable[..., World]) -> World:
    """Three services in independent mode, nothing released."""
    return three(make_world(mode='"independent"'))


def images(world: World) -> dict[str, str]:
    """repository:tag → digest of the three services."""
    return {
        f"{name}:{tag}": world.hub.digest(f"{world.namespace}/{name}", tag)
        for name in NAMES
        for tag in world.hub.tags(f"{world.namespace}/{name}")
    }


def test_a_change_bumps_the_services_built_from_it(lines: World) -> None:
    """One service's folder bumps that one; a shared stage bumps each that stands on it; the rest keeps its version."""
    ok(lines.clone.release())
    assert sorted(lines.git_tags()) == ["one/v0.1.0", "three/v0.1.0", "two/v0.1.0"]
    lines.clone.commit("one", "feat: of one")
    ok(lines.clone.release())
    assert sorted(set(lines.git_tags()) - {f"{name}/v0.1.0" for name in NAMES}) == ["one/v0.2.0"]
    before = images(lines)
    lines.clone.commit("shared", "fix: of all that stand on it")

    ok(lines.clone.release())

    now = images(lines)
    new = sorted(set(lines.git_tags()) - {f"{name}/v0.1.0" for name in NAMES} - {"one/v0.2.0"})
    assert new == ["three/v0.1.1", "two/v0.1.1"]
    assert now["two:0.1"] == now["two:0.1.1"] != before["two:0.1"]
    assert {name: found for name, found in now.items() if name.startswith("one:")} == {
        name: found for name, found in before.items() if name.startswith("one:")
    }
    found = listed(lines.clone)
    assert {tag: found[tag]["state"] for tag in lines.git_tags()} == dict.fromkeys(lines.git_tags(), "complete")
    assert list(lines.record("two/v0.1.1")["services"]) == ["two"]


def test_one_service_may_be_asked_for(lines: World) -> None:
    """--service releases that one alone; in lockstep it is refused."""
    ok(lines.clone.release("--service", "two"))

    assert list(lines.git_tags()) == ["two/v0.1.0"]
    assert {name.partition(":")[0] for name in images(lines)} == {"two"}


def test_lockstep_has_no_single_services(world: World) -> None:
    """All services have one version there, so naming one is refused."""
    ran = world.clone.release("--service", "one")

    assert ran.code == 14, ran.text
    assert "'lockstep'" in ran.stderr


def test_one_of_two_tags_taken_and_nothing_is_claimed(make_world: Callable[..., World], proxy: Proxy) -> None:
    """Several lines are claimed all or none: another's tag on one of them stops the others too."""
    world = three(make_world(proxy.address, mode='"independent"'))
    other = world.another()
    proxy.rules = [
        Rule("PUT .*/one/manifests/sha256:", then(lambda: ok(other.release("--service", "two")), before=True))
    ]

    ran = world.clone.release()

    assert ran.code == 15, ran.text
    assert "two/v0.1.0" in ran.stderr
    assert list(world.git_tags()) == ["two/v0.1.0"]
    assert {name.partition(":")[0] for name in images(world)} == {"two"}


def test_the_remote_takes_all_tags_or_none(lines: World) -> None:
    """A hook that refuses the tag of one line leaves none of them: the push is atomic."""
    hook = lines.remote / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/tags/two/v0.1.0 ]\n')
    hook.chmod(0o755)

    ran = lines.clone.release()

    assert ran.code == 3, ran.text
    assert (lines.git_tags(), images(lines)) == ({}, {})


def test_an_interrupted_set_is_finished_line_by_line(make_world: Callable[..., World], proxy: Proxy) -> None:
    """Lines that were claimed together and half published are finished by a fresh clone, each by its own record."""
    world = three(make_world(proxy.address, mode='"independent"'))
    proxy.rules = [Rule("PUT .*/three/manifests/0.1.0", status(403), times=ALWAYS)]
    assert world.clone.release().code == 10
    proxy.heal()
    other = world.another()
    assert "three/v0.1.0" in planned(other)["unfinished"]

    ok(other.inv("release", "--resume"))

    tags = images(world)
    for name in NAMES:
        digest = world.record(f"{name}/v0.1.0")["services"][name]["digest"]
        assert [tags[f"{name}:{tag}"] for tag in ("0.1.0", "0.1", "0")] == [digest] * 3


def test_a_line_is_yanked_by_its_service(lines: World) -> None:
    """In independent mode a yank names the service, and leaves the other lines alone."""
    ok(lines.clone.release())
    lines.clone.commit("one")
    ok(lines.clone.release())
    before = images(lines)
    assert before["one:0.1"] == before["one:0.1.1"] != before["one:0.1.0"]

    assert lines.clone.inv("yank", "0.1.1", "--reason", "wrong").code == 14
    ok(lines.clone.inv("yank", "0.1.1", "--service", "one", "--reason", "wrong"))

    after = images(lines)
    assert after["one:0.1"] == after["one:0"] == after["one:0.1.0"]
    assert {name: digest for name, digest in after.items() if not name.startswith("one:0")} == {
        name: digest for name, digest in before.items() if not name.startswith("one:0")
    }
    assert listed(lines.clone)["one/v0.1.1"]["state"] == "yanked"
