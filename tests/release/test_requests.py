"""How often the registry is asked: a registry may count every read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from build.git.versions import lines
from build.registry.client import RegistryClient
from build.release import claim, publish, record
from build.release.names import release_repository, service_repository
from build.release.published import Published
from build.release.stored import load
from tests.release.queries import digests, listed, ok, recorded
from tests.support.proxy import Proxy
from tests.support.world import World

EARLIER = 50
READ = r"^GET \S*/release/manifests/\S+ → 200"  # a GET that finds nothing is not a pull


@pytest.fixture
def many(faulty: World) -> World:
    """A world with 50 releases: one was made, and the others are written after its pattern."""
    ok(faulty.clone.release())
    manifest = faulty.clone.project.load()
    root = manifest.root
    first = record.decode(json.dumps(faulty.record("v0.1.0")).encode())
    claims = []
    with RegistryClient(manifest) as registry:
        stored = {name: load(registry, first.repository_of(name), one.digest) for name, one in first.services.items()}
        for number in range(1, EARLIER):
            version, previous = f"0.1.{number}", f"0.1.{number - 1}"
            made = replace(
                first,
                version=version,
                tag=f"v{version}",
                previous=previous,
                created=f"2026-01-01T00:00:{number:02}+00:00",
            )
            claims.append(claim.prepare(root, made, version))
            publish.images(registry, made, stored)
            publish.record(registry, made)
    claim.push(root, "origin", claims)
    ok(faulty.clone.inv("release", "--resume"))
    return faulty


def test_r5_a_release_reads_no_record_twice_and_most_not_at_all(many: World, proxy: Proxy) -> None:
    """From a fresh clone, with 50 earlier releases: no record is read, and only the newest is asked about."""
    clone = many.another()
    clone.commit("one")
    proxy.seen.clear()

    ok(clone.release())

    assert proxy.count(READ) == 0
    assert proxy.count(r"^HEAD \S*/release/manifests/0\.1\.\d+ ") <= 8
    assert proxy.count(r"^GET .* → 200") <= 12
    assert digests(many, "0.1") == recorded(many, "v0.1.50")


def test_r5_a_list_asks_about_each_record_once_and_reads_none(many: World, proxy: Proxy) -> None:
    """`releases` looks at everything that it calls complete, without a read that a hub would count."""
    proxy.seen.clear()

    states = {one["state"] for one in listed(many.clone).values()}

    assert states == {"complete"}
    assert proxy.count(READ) == 0
    assert proxy.count(r"^HEAD \S*/release/manifests/0\.1\.\d+ ") == EARLIER


def test_r5_a_version_asks_nobody(many: World, proxy: Proxy) -> None:
    """`version` is git's alone."""
    proxy.seen.clear()

    ok(many.clone.inv("version"))

    assert proxy.seen == []


def test_c7_a_version_that_was_followed_is_trusted_while_it_is_listed(many: World) -> None:
    """What a later release names as its predecessor was complete then; the registry's list says whether it still is."""
    manifest = many.clone.project.load()
    (line,) = lines(manifest)
    with RegistryClient(manifest) as registry:
        known = Published(manifest, registry, many.git_tags()).known(line)

    assert (len(known.complete), known.gone, known.interrupted) == (EARLIER, frozenset(), frozenset())
    assert release_repository(manifest, line.name) == service_repository(manifest, "release")
