"""Cleaning the registry: what nothing needs goes, and whatever a release, a deployment or a float needs stays."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from build.deploy import in_use, kinds, ledger
from build.deploy.target import DeployedSet, Spec
from build.release import clean as cleaning
from build.release.clean import Cleaned
from tests.release.queries import ok
from tests.support.forged import Forged, image, manifest
from tests.support.project import Ran
from tests.support.proxy import Answer, Proxy, Request, Rule
from tests.support.server import Registry, free_address
from tests.support.signing import Keys, make_keys
from tests.support.steps import begins
from tests.support.world import FAST, SERVICES, Clone, World, clean

_TARGET = '[deploy.targets.site]\nkind = "compose"\n'
_BUILD = "0.1.1-dev.{}.g1234567"


@dataclasses.dataclass(frozen=True, slots=True)
class Released:
    """A world with the signed release 0.1.0, and its first candidate, which a killed release staged before."""

    world: World
    keys: Keys
    abandoned: str

    @property
    def one(self) -> str:
        """The repository that the tests put builds into."""
        return f"{self.world.namespace}/one"

    def built(self, number: int, content: str = "", extra: str = "") -> Forged:
        """A development build in it."""
        return image(self.world.hub, self.one, _BUILD.format(number), content, extra=extra)

    def names(self) -> set[tuple[str, str, str]]:
        """All that is public in the registry, and the platforms of the release: repository, tag or "", digest."""
        hub, namespace = self.world.hub, self.world.namespace
        public = {(*name.split(":"), digest) for name, digest in self.world.public().images.items()}
        platforms = {
            (name, "", child["digest"])
            for name in SERVICES
            for child in hub.manifest(f"{namespace}/{name}", "0.1.0")["manifests"]
            if hub.digest(f"{namespace}/{name}", child["digest"])
        }
        return {(name, tag, digest) for name, tag, digest in public} | platforms

    def verify(self) -> None:
        """What is complete is verified, and nothing of it is to be released again."""
        ok(self.world.clone.inv("verify", "0.1.0", **self.keys.verifying))
        assert "nothing to release" in ok(self.world.another().inv("release", "--dry-run")).stdout


@pytest.fixture(scope="module")
def released(make_world: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> Released:
    """One release for all tests: they differ in what lies beside it."""
    world = make_world()
    keys = make_keys(world.clone, tmp_path_factory.mktemp("keys"))
    running = world.clone.start("release", *FAST)
    assert running.when(begins("claim"), running.kill).wait().code == -9
    abandoned = json.loads((world.clone.project.root / ".uc" / "candidates.json").read_text())["one"]["digest"]
    world.clone.commit("one")
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    return Released(world, keys, abandoned)


@pytest.fixture(autouse=True)
def _tidy(released: Released) -> Iterator[None]:
    """Nothing of the release goes in any test, and the next one begins with the release alone."""
    before = released.names()
    yield
    left = released.names()
    assert before <= left
    digests = {digest for _, _, digest in before}
    for name, _, digest in left - before:
        if digest not in digests:
            released.world.hub.delete(f"{released.world.namespace}/{name}", digest)


def _cleaned(clone: Clone, *, keep: int = 0) -> Cleaned:
    """What a clean deleted, without the start of a process."""
    project = clone.project.load()
    return cleaning.clean(project, in_use.images(project), keep=str(keep))


def _tags(result: Cleaned) -> list[str]:
    return [each.tag for each in result.deleted]


def _refused(ran: Ran, code: int) -> str:
    assert (ran.code, clean(ran.stderr)) == (code, True), ran.text
    assert "✓" not in ran.text
    return ran.stderr


def test_old_development_builds_go_and_the_release_stays(released: Released) -> None:
    """All but the newest N builds go, with their platforms; 10 is newer than 9; the release verifies as before."""
    hub = released.world.hub
    builds = {number: released.built(number) for number in (8, 9, 10)}

    planned = ok(released.world.clone.inv("registry.clean", "--keep", "2", "--dry-run", "--json")).result
    assert hub.digest(released.one, _BUILD.format(8)) == builds[8].digest
    result = _cleaned(released.world.clone, keep=2)

    assert [each["tag"] for each in planned["deleted"]] == _tags(result) == [_BUILD.format(8)]
    assert planned == json.loads(json.dumps(dataclasses.asdict(result)))
    assert [bool(hub.digest(released.one, each.platform)) for each in builds.values()] == [False, True, True]
    assert [bool(hub.digest(released.one, each.digest)) for each in builds.values()] == [False, True, True]
    released.verify()


def test_what_a_kept_tag_names_too_stays(released: Released) -> None:
    """A build that is the image of a release or of a stranger stays, and so does a platform that such a one shares."""
    world, hub = released.world, released.world.hub
    content, kind = hub.raw(released.one, "0.1.0")
    assert hub.put(released.one, _BUILD.format(7), content, kind) == 201
    shared = released.built(2, "shared")
    stranger = image(hub, released.one, "stable", "shared", extra="another index")
    assert (stranger.platform, stranger.digest != shared.digest) == (shared.platform, True)
    assert image(hub, released.one, _BUILD.format(3), "shared", extra="another index") == stranger

    result = _cleaned(world.clone)

    assert _tags(result) == [_BUILD.format(2)]
    kept = {each.tag: each.why for each in result.kept if each.repository == released.one}
    assert (kept["stable"], kept[_BUILD.format(3)]) == ("not ours", "stable names the same")
    assert "0.1.0" in kept[_BUILD.format(7)]
    assert hub.digest(released.one, stranger.platform)
    assert hub.digest(released.one, "stable") == stranger.digest


def test_orphaned_signatures_go_and_those_of_the_release_stay(released: Released) -> None:
    """Whatever is attached to an image that is gone or goes is deleted, and what is attached to that in turn."""
    hub, lost = released.world.hub, "sha256-" + "1" * 64
    build = released.built(1)
    manifest(hub, released.one, f"{lost}.att", "of what is gone")
    attached = [f"{digest.replace(':', '-')}.sig" for digest in (build.digest, build.platform)]
    signatures = [manifest(hub, released.one, tag, tag) for tag in attached]
    chain = f"{signatures[0].replace(':', '-')}.sbom"
    manifest(hub, released.one, chain, "of a signature")

    result = _cleaned(released.world.clone)

    assert {*_tags(result)} == {f"{lost}.att", *attached, chain, _BUILD.format(1)}
    assert not {*attached, chain}.intersection(hub.tags(released.one))


def test_a_candidate_goes_when_no_release_can_be_using_it(released: Released) -> None:
    """What a killed release staged is deleted after a day, with its platforms, and never the newest of a service."""
    clone, hub = released.world.clone, released.world.hub
    platform = hub.manifest(released.one, released.abandoned)["manifests"][0]["digest"]
    assert _cleaned(clone).deleted == ()
    staged = clone.project.root / ".uc" / "staged.json"
    entries = json.loads(staged.read_text())
    assert f"{released.one}@{released.abandoned}" in entries
    staged.write_text(json.dumps(dict.fromkeys(entries, "2020-01-01T00:00:00+00:00")))

    result = _cleaned(clone)

    assert [each.digest for each in result.deleted] == [released.abandoned]
    assert not hub.digest(released.one, released.abandoned)
    assert not hub.digest(released.one, platform)
    assert json.loads(staged.read_text()) == {}


def test_an_unfinished_claim_is_finished_after_cleaning(make_world: Callable[..., World]) -> None:
    """What is claimed stays, also where it was staged long ago, and any clone completes it."""
    world = make_world()
    running = world.clone.start("release", *FAST)
    assert running.when(begins("publish"), running.kill).wait().code == -9
    staged = world.clone.project.root / ".uc" / "staged.json"
    staged.write_text(json.dumps(dict.fromkeys(json.loads(staged.read_text()), "2020-01-01T00:00:00+00:00")))
    (world.clone.project.root / ".uc" / "candidates.json").unlink()
    world.clone.git("tag", "--delete", "v0.1.0")

    assert _cleaned(world.clone).deleted == ()

    ok(world.another().inv("release", "--resume"))
    assert world.hub.digest(f"{world.namespace}/release", "0.1.0")


def test_a_killed_clean_is_finished_by_the_same_command(released: Released) -> None:
    """Whichever deletion it is killed before, the next clean deletes the rest: attachments, platforms, images."""
    hub = released.world.hub
    build = released.built(1)
    tag = f"{build.platform.replace(':', '-')}.sig"
    places = (tag, build.platform, build.digest)
    for after in (2, 3):  # the first request deletes nothing: it asks whether deletion is supported
        manifest(hub, released.one, tag, "signature")
        assert released.built(1) == build
        with Proxy(free_address("127.9.0.1"), released.world.address) as proxy:
            running = released.world.clone.start("registry.clean", "--keep", "0", UC_REGISTRY_ADDRESS=proxy.address)

            def kill(_request: Request, running: Any = running) -> Answer:
                running.kill()
                return Answer(500)

            proxy.rules = [Rule(r"^DELETE ", kill, after=after)]
            assert running.wait().code == -9
        assert [bool(hub.digest(released.one, each)) for each in places] == [number >= after for number in (1, 2, 3)]

        _cleaned(released.world.clone)

        assert not any(hub.digest(released.one, each) for each in places)


def test_a_registry_that_deletes_nothing_is_refused(
    released: Released, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where deletion is off: exit code 10, what turns it on, and nothing deleted."""
    build = released.built(1)
    monkeypatch.setenv("REGISTRY_STORAGE_DELETE_ENABLED", "false")
    other = Registry(registry.program, tmp_path / "registry", free_address("127.9.0.1"), registry.storage)
    other.start()
    try:
        settings = {"UC_REGISTRY_ADDRESS": other.address, "UC_REGISTRY_EMBEDDED": "false"}
        ran = released.world.clone.inv("registry.clean", "--keep", "0", **settings)
    finally:
        other.stop()

    text = _refused(ran, 10)
    assert "nothing was deleted" in text
    assert "REGISTRY_STORAGE_DELETE_ENABLED" in text
    assert released.world.hub.digest(released.one, _BUILD.format(1)) == build.digest


def test_a_remote_that_does_not_answer_is_refused(released: Released) -> None:
    """Claims are not known without the remote: exit code 3, and nothing deleted."""
    build, clone = released.built(1), released.world.clone
    clone.git("remote", "set-url", "origin", "/nowhere")
    try:
        ran = clone.inv("registry.clean", "--keep", "0")
    finally:
        clone.git("remote", "set-url", "origin", str(released.world.remote))

    assert "does not answer" in _refused(ran, 3)
    assert released.world.hub.digest(released.one, _BUILD.format(1)) == build.digest


def test_what_a_target_has_stays_and_one_that_cannot_be_read_is_refused(released: Released) -> None:
    """An image in a target's journal stays; where the target does not answer nothing is deleted, and it is named."""
    world = released.world
    deployed, other = released.built(1), released.built(2)
    settings = world.clone.project.write("versions.local.toml", _TARGET)
    store = kinds.named(world.clone.project.load())[1].store
    try:
        spec = Spec(service="one", image=f"elsewhere:5000/{released.one}@{deployed.digest}", document={})
        after = DeployedSet(versions={"one": "0.1.0"}, records={}, specs={"one": spec})
        ledger.begin(store, [], "deploy", None, after)
        settings.write_text(f'{_TARGET}host = "tcp://127.0.0.1:9"\n')
        text = _refused(world.clone.inv("registry.clean", "--keep", "0"), 7)
        assert "deploy target site" in text
        assert "[deploy.targets.site]" in text
        assert world.hub.digest(released.one, other.digest)
        settings.write_text(_TARGET)

        assert _tags(_cleaned(world.clone)) == [_BUILD.format(2)]
    finally:
        settings.unlink()
        for item in store.items():
            store.remove(item)

    assert world.hub.digest(released.one, deployed.platform)


def test_what_probes_left_goes(released: Released) -> None:
    """The scratch repository of probes is emptied of their tags, and of no other."""
    world = released.world
    scratch = f"{world.namespace}/uc-probe"
    for tag in ("1.3.0", "103", "mine"):
        manifest(world.hub, scratch, tag, tag)

    ran = ok(world.clone.inv("registry.clean"))

    assert world.hub.tags(scratch) == ["mine"]
    assert f"{scratch}:mine stays: not ours" in ran.stderr
    assert "garbage-collect" in ran.text


def test_keep_is_a_number(released: Released) -> None:
    """Anything else is a mistake of the command line."""
    assert "--keep takes a number" in _refused(released.world.clone.inv("registry.clean", "--keep=-1"), 1)
