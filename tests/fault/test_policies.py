"""Registries with their own policies (Harbor, ProGet), expiring logins, and a full disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.invariants import assert_invariants
from tests.support.machine import as_root
from tests.support.policies import (
    ALWAYS,
    PASSWORD,
    USER,
    TokenService,
    basic,
    immutable,
    three_parts,
)
from tests.support.proxy import Answer, Proxy, Request, Rule, status, then
from tests.support.server import Registry, free_address
from tests.support.steps import begins
from tests.support.world import FAST, World, clean

_DISK_MEGABYTES = 4


def _login(world: World) -> dict[str, str]:
    file = world.folder / "password"
    file.write_text(PASSWORD)
    return {"UC_REGISTRY_USERNAME": USER, "UC_REGISTRY_PASSWORD_FILE": str(file)}


def test_a_registry_whose_full_versions_are_immutable(faulty: World, proxy: Proxy, hub: Hub) -> None:
    """Releases, kills and resumes work where any PUT of an existing full version gets 412, even an identical one."""
    proxy.rules = [immutable(hub, pattern=r"^\d+\.\d+\.\d+")]
    assert faulty.clone.release().code == 0
    faulty.clone.commit("one")
    running = faulty.clone.start("release", *FAST)
    assert running.when(begins("record"), running.kill).wait().code == -9

    ran = faulty.another().release()

    assert ran.code == 0, ran.text
    assert set(faulty.public().git) == {"v0.1.0", "v0.1.1"}
    assert_invariants(faulty)


def test_a_registry_where_every_tag_is_immutable(faulty: World, proxy: Proxy, hub: Hub) -> None:
    """Where floats can't be moved, the release detects and reports it, and completes without them."""
    proxy.rules = [immutable(hub)]
    for _ in range(2):
        faulty.clone.commit("one")
        ran = faulty.clone.release()
        assert ran.code == 0, ran.text
        assert "not ours to move" in ran.stderr

    assert set(faulty.public().images) == {
        f"{name}:{version}" for name in ("one", "two", "release") for version in ("0.1.0", "0.1.1")
    }


def test_a_registry_that_takes_three_parts_and_moves_floats_itself(faulty: World, proxy: Proxy, hub: Hub) -> None:
    """Only X.Y.Z is written, and the registry's own floats are right."""
    proxy.rules = [three_parts(hub)]
    for _ in range(2):
        faulty.clone.commit("one")
        ran = faulty.clone.release()
        assert ran.code == 0, ran.text

    assert proxy.count(r"^PUT .*/(one|two|release)/manifests/\d+(\.\d+)? ") == 0
    assert_invariants(faulty)


def test_a_registry_that_keeps_the_older_of_two_tags(faulty: World, proxy: Proxy, hub: Hub) -> None:
    """201 to a PUT but another digest under the tag: the read-back detects it, the error names both digests, and the
    version is burned; after a yank, the next release proceeds."""
    strange = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'

    def raced(request: Request) -> Answer:
        repository = request.path.removeprefix("/v2/").partition("/manifests/")[0]
        assert hub.put(repository, "0.1.0", strange, "application/vnd.oci.image.index.v1+json") == 201
        return Answer(201)

    proxy.rules = [Rule(r"^PUT .*/two/manifests/0\.1\.0$", raced)]

    ran = faulty.clone.release()

    assert ran.code == 15, ran.text
    assert clean(ran.stderr), ran.text
    error = next(line for line in ran.stderr.splitlines() if line.startswith("error: "))
    assert error.count("sha256:") == 2
    assert "./inv yank 0.1.0" in ran.stderr
    assert faulty.clone.inv("yank", "0.1.0", "--reason", "burned").code == 0
    faulty.clone.commit("one")
    again = faulty.clone.release()
    assert again.code == 0, again.text
    assert "release:0.1.1" in faulty.public().images
    assert "release:0.1.0" not in faulty.public().images


def test_basic_login(faulty: World, proxy: Proxy) -> None:
    """A release works with user and password file; a login refused midway is not retried, and what was claimed by then
    is finished by the next run."""
    proxy.rules = [Rule(r"^PUT .*/two/manifests/\d", status(401, WWW_Authenticate='Basic realm="test"')), basic()]

    ran = faulty.clone.release(**_login(faulty))

    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text
    assert "./inv release --resume" in ran.stderr
    assert proxy.count(r"^PUT .*/two/manifests/\d\S* → 401") == 1
    again = faulty.clone.release(**_login(faulty))
    assert again.code == 0, again.text
    assert_invariants(faulty)


def test_a_wrong_password(faulty: World, proxy: Proxy) -> None:
    """Refused once and not retried: exit 10; the message names the settings and not the password."""
    proxy.rules = [basic()]
    login = _login(faulty)
    (faulty.folder / "password").write_text("battery staple")

    ran = faulty.clone.release(**login)

    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text
    assert "battery" not in ran.text
    assert "password_file" in ran.stderr
    assert faulty.public().images == {}


@pytest.mark.parametrize("uses", [3, 1])
def test_tokens_that_expire(faulty: World, proxy: Proxy, uses: int) -> None:
    """A token that expires midway is renewed, once for each request that finds it stale."""
    service = TokenService(proxy.address, uses=uses)
    proxy.rules = [*service.rules]

    ran = faulty.clone.release(**_login(faulty))

    assert ran.code == 0, ran.text
    assert service.given
    assert PASSWORD not in ran.text
    assert_invariants(faulty)


def test_a_token_service_that_is_busy(faulty: World, proxy: Proxy) -> None:
    """503 and an HTML page from the token service are retried or reported, never a traceback."""
    service = TokenService(proxy.address, uses=50)
    proxy.rules = [Rule(r"^GET /token", status(503), times=2, after=1), *service.rules]
    ran = faulty.clone.release(**_login(faulty))
    assert ran.code == 0, ran.text
    faulty.clone.commit("one")
    page = Rule(r"^GET /token", lambda _: Answer(200, {"Content-Type": "text/html"}, b"<html>"), times=ALWAYS)
    proxy.rules = [page, *service.rules]

    ran = faulty.clone.release(**_login(faulty))

    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text


def test_a_permanent_401_is_not_retried_forever(faulty: World, proxy: Proxy) -> None:
    """A token that is never accepted: two logins at most, then exit 10."""
    service = TokenService(proxy.address, uses=0)
    proxy.rules = [*service.rules]

    ran = faulty.clone.release(**_login(faulty))

    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text
    assert sum(service.given.values()) <= 2


# A full disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, mounted for one test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    root, options = as_root(), f"size={_DISK_MEGABYTES}m,uid={os.getuid()}"
    subprocess.run([*root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run([*root, "umount", str(folder)], check=True)


@pytest.fixture
def small(small_disk: Path, registry_program: str, tmp_path: Path) -> Iterator[tuple[World, Proxy]]:
    """A world whose registry stores its data on that disk, and the proxy in front of it."""
    server = Registry(
        registry_program, tmp_path / "small", free_address(f"127.8.0.{1 + os.getpid() % 250}"), small_disk / "storage"
    )
    server.start()
    hub = Hub(server.address)
    with Proxy(free_address(f"127.7.0.{1 + os.getpid() % 250}"), server.address) as proxy:
        yield worlds.make(tmp_path / "world", f"small{os.getpid()}", proxy.address, hub), proxy
    hub.close()
    server.stop()


def _fill(disk: Path) -> Path:
    """Create a file that fills the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return filler
    return filler


@pytest.mark.parametrize(
    ("request_that_finds_it", "step"),
    [
        (r"^PUT .*/(one|two)/blobs/uploads/", "stage the candidates"),
        (r"^PUT .*/(one|two)/manifests/0\.1\.0$", "publish the immutable tags"),
        (r"^PUT .*/(one|two)/manifests/0\.1$", "move the floating tags"),
    ],
)
def test_a_disk_that_is_full(
    small: tuple[World, Proxy], small_disk: Path, request_that_finds_it: str, step: str
) -> None:
    """Exit 10 with the registry's reason; before the claim nothing is public; with space again the next run completes."""
    small_world, proxy = small
    proxy.rules = [Rule(request_that_finds_it, then(lambda: _fill(small_disk), before=True))]

    ran = small_world.clone.release()

    assert f"✗ {step}" in ran.stderr
    (small_disk / "filler").unlink()
    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text
    if step == "stage the candidates":
        assert small_world.public().git == {}
        assert small_world.public().images == {}
    else:
        assert "./inv release --resume" in ran.stderr
    assert_invariants(small_world, settled=False)
    again = small_world.clone.release()
    assert again.code == 0, again.text
    assert set(small_world.public().git) == {"v0.1.0"}
    assert_invariants(small_world)


@pytest.mark.parametrize(
    ("link", "step"),
    [
        ("one/_manifests/tags/0.1.0", "record"),
        ("release/_manifests/tags/0.1.0", "float"),
        ("one/_manifests/tags/0.1", None),
        ("release/_manifests/tags/0.1", None),
    ],
)
def test_a_tag_that_a_full_disk_took(world: World, registry: Registry, link: str, step: str | None) -> None:
    """Distribution leaves a tag's link empty if it can't write it, and can't read the tag then: the next run puts it."""
    running = world.clone.start("release", *FAST)
    ended = running.when(begins(step), running.kill).wait() if step else running.wait()
    assert ended.code == (-9 if step else 0)
    file = registry.storage / "docker/registry/v2/repositories" / world.namespace / link / "current/link"
    assert file.read_text()
    file.write_text("")

    ran = world.clone.release()

    assert ran.code == 0, ran.text
    assert set(world.public().git) == {"v0.1.0"}
    assert_invariants(world)


def test_a_manifest_that_a_full_disk_took(world: World, registry: Registry) -> None:
    """Distribution empties a manifest's link if it can't rewrite it: the clone that staged the manifest restores it."""
    running = world.clone.start("release", *FAST)
    assert running.when(begins("publish"), running.kill).wait().code == -9
    links = registry.storage / "docker/registry/v2/repositories" / world.namespace
    digest = world.record("v0.1.0")["services"]["one"]["digest"].removeprefix("sha256:")
    (links / "one/_manifests/revisions/sha256" / digest / "link").write_text("")

    ran = world.clone.release()

    assert ran.code == 0, ran.text
    assert_invariants(world)
