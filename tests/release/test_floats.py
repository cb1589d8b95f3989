"""Floating tags over a history of releases: never backwards, always the highest remaining stable release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from build.errors import RegistryError
from build.registry import policy
from build.registry.client import RegistryClient
from build.registry.oci import digest_of
from tests.release.queries import ALWAYS, INDEX, OTHER, digests, immutable, listed, ok, recorded, three_part_tags
from tests.support.proxy import Proxy, Rule, status
from tests.support.world import SERVICES, Public, World


@dataclass(frozen=True, slots=True)
class Past:
    """A world with many releases, and what was public after each of them, by version."""

    world: World
    after: dict[str, Public]

    def named(self, version: str) -> dict[str, str]:
        """Which version each float of `one` named after the release of `version`: 1.3 → 1.3.5."""
        start = "one:"
        images = {
            name.removeprefix(start): found
            for name, found in self.after[version].images.items()
            if name.startswith(start)
        }
        full = {found: tag for tag, found in images.items() if tag.count(".") >= 2}
        return {tag: full[found] for tag, found in images.items() if tag.count(".") < 2}


@pytest.fixture(scope="module")
def past(make_world: Callable[..., World]) -> Past:
    """1.3.4, 1.4.0, then backports and pre-releases in between, up to 1.10.0; each has its own image."""
    world = make_world()
    clone, after = world.clone, {}

    def release(version: str, *arguments: str) -> None:
        ran = ok(clone.release(*arguments))
        assert f"→ {version};" in ran.stderr
        after[version] = world.public()

    release("1.3.4", "--version", "1.3.4")
    clone.commit("one", "feat: more")
    release("1.4.0")
    clone.git("switch", "--quiet", "--create", "1.3.x", "v1.3.4")
    clone.commit("one", "fix: old")
    release("1.3.5")
    clone.git("switch", "--quiet", "main")
    clone.commit("one", "feat: soon")
    release("1.5.0-rc.1", "--pre", "rc")
    clone.git("switch", "--quiet", "--create", "1.4.x", "v1.4.0")
    clone.commit("one", "fix: meanwhile")
    release("1.4.1")
    clone.git("switch", "--quiet", "main")
    clone.commit("one", "fix: almost")
    release("1.5.0-rc.2", "--pre", "rc")
    clone.commit("one", "fix: done")
    release("1.5.0")
    # Tags in git and the registry that look like numbers but are not versions.
    for name in ("6943991", "2026.03.01", "sha-6943991"):
        world.hub.put(f"{world.namespace}/release", name, OTHER, INDEX)
        clone.git("tag", f"v{name}")
    clone.git("push", "--quiet", "--tags", "origin")
    clone.commit("one", "feat: nine")
    release("1.9.0", "--version", "1.9.0")
    clone.commit("one", "feat: ten")
    release("1.10.0")
    return Past(world, after)


def test_f1_a_backport_moves_only_its_own_minor(past: Past) -> None:
    """1.3.5 after 1.4.0 moves 1.3, but neither 1.4 nor 1."""
    assert past.named("1.4.0") == {"1.3": "1.3.4", "1.4": "1.4.0", "1": "1.4.0"}
    assert past.named("1.3.5") == {"1.3": "1.3.5", "1.4": "1.4.0", "1": "1.4.0"}


def test_f2_a_repair_of_an_old_release_moves_no_float(past: Past) -> None:
    """Resuming a finished release changes nothing."""
    before = past.world.public()

    ran = ok(past.world.another().inv("release", "--resume"))

    assert "nothing was interrupted" in ran.stderr
    assert past.world.public() == before


def test_f3_a_release_candidate_does_not_hold_back_a_patch(past: Past) -> None:
    """1.4.1 after 1.5.0-rc.1 is the highest stable release: 1.4 and 1 name it."""
    assert past.named("1.4.1") == {"1.3": "1.3.5", "1.4": "1.4.1", "1": "1.4.1"}


def test_f4_a_pre_release_moves_nothing(past: Past) -> None:
    """Neither rc.1 nor rc.2 moves or creates a float; 1.5.0 does."""
    assert past.named("1.5.0-rc.1") == past.named("1.3.5")
    assert past.named("1.5.0-rc.2") == past.named("1.4.1")
    assert past.named("1.5.0") == {"1.3": "1.3.5", "1.4": "1.4.1", "1.5": "1.5.0", "1": "1.5.0"}


def test_f5_ten_is_above_nine_and_a_sha_is_not_a_version(past: Past) -> None:
    """Versions are compared as numbers; a tag 6943991 or 2026.03.01 in git or the registry is ignored."""
    named = past.named("1.10.0")

    assert (named["1"], named["1.9"], named["1.10"]) == ("1.10.0", "1.9.0", "1.10.0")


def test_f6_a_float_is_the_same_bytes_as_its_release(past: Past) -> None:
    """X.Y.Z, X.Y, X and the candidate are one digest, and its attestation is still attached."""
    world = past.world
    repository = f"{world.namespace}/one"
    staged = recorded(world, "v1.10.0")["one"]

    contents = {world.hub.raw(repository, name) for name in (staged, "1.10.0", "1.10", "1")}

    assert len(contents) == 1
    assert digest_of(next(iter(contents))[0]) == staged
    children = world.hub.manifest(repository, "1")["manifests"]
    (attestation,) = [one for one in children if "vnd.docker.reference.digest" in one.get("annotations", {})]
    assert attestation["annotations"]["vnd.docker.reference.digest"] == children[0]["digest"]
    (layer,) = world.hub.manifest(repository, attestation["digest"])["layers"]
    assert b"https://slsa.dev/provenance" in (world.hub.blob(repository, layer["digest"]) or b"")


def test_f7_latest_is_neither_made_nor_started(past: Past) -> None:
    """There is no tag latest, and a stack can't be started by it; what a float names is started by its digests."""
    assert [name for name in past.world.public().images if name.endswith(":latest")] == []

    ran = past.world.clone.inv("up", "--release", "latest")

    assert ran.code == 14, ran.text
    assert "has no complete release latest" in ran.stderr


def test_f8_a_registry_that_moves_floats_itself_is_left_to_it(faulty: World, proxy: Proxy) -> None:
    """If the registry accepts only three-part tags and moves X.Y and X itself, the client writes neither and succeeds."""
    proxy.rules = three_part_tags()

    ok(faulty.clone.release())

    assert proxy.count(r"PUT .*/(one|two|release)/manifests/0(\.1)? ") == 0
    assert digests(faulty, "0.1") == digests(faulty, "0") == digests(faulty, "0.1.0") == recorded(faulty, "v0.1.0")


def test_f8_where_floats_are_refused_a_release_goes_without_them(faulty: World, proxy: Proxy) -> None:
    """If the registry accepts only three-part tags and moves no floats, the release completes and reports that."""
    proxy.rules = three_part_tags()[1:]

    ran = ok(faulty.clone.release())

    assert proxy.count(r"PUT .*/(one|two|release)/manifests/0(\.1)? ") == 0
    assert "not ours to move" in ran.stderr
    assert digests(faulty, "0.1") == {}
    assert listed(faulty.clone)["v0.1.0"]["state"] == "complete"


@pytest.mark.parametrize("code", [404, 408, 429])
def test_a_temporary_failure_is_not_recorded_as_policy(faulty: World, proxy: Proxy, code: int) -> None:
    """A probe that fails temporarily records no policy; the next one finds that the client may move floats."""
    manifest = faulty.clone.project.load()
    proxy.rules = [Rule(r"PUT .*/uc-probe/manifests/\d+(\.0)?$", status(code), times=ALWAYS)]
    with RegistryClient(manifest, attempts=1) as registry, pytest.raises(RegistryError) as caught:
        policy.policy(manifest, registry)
    proxy.heal()

    with RegistryClient(manifest) as registry:
        learnt = policy.policy(manifest, registry)

    assert caught.value.status == code
    assert learnt.floats == "client"


def test_floats_move_where_versions_are_immutable(faulty: World, proxy: Proxy) -> None:
    """Under an immutability rule for versions, two releases and their floats succeed."""
    proxy.rules = [immutable()]
    ok(faulty.clone.release())
    faulty.clone.commit("one")

    ok(faulty.clone.release())

    assert digests(faulty, "0.1") == recorded(faulty, "v0.1.1")
    assert proxy.count("→ 412") <= 2, "only the probe may learn it the hard way"


def test_a_float_moved_by_hand_is_corrected(world: World) -> None:
    """--resume corrects a float that someone moved by hand, with the bytes of the release."""
    ok(world.clone.release())
    world.clone.touch()
    ok(world.clone.release("--bump", "patch"))
    world.hub.put(f"{world.namespace}/one", "0.1", OTHER, INDEX)

    ok(world.clone.inv("release", "--resume"))

    assert digests(world, "0.1") == recorded(world, "v0.1.1")


def test_yank_moves_floats_to_the_best_remaining_release(past: Past) -> None:
    """After a yank, X names the previous release; the immutable tags stay, `up` refuses it, and the list says why."""
    world, clone = past.world, past.world.another()
    refused = clone.inv("yank", "1.10.0", "--reason", " ")
    assert refused.code == 14
    assert "needs a reason" in refused.stderr
    unknown = clone.inv("yank", "7.0.0", "--reason", "none")
    assert unknown.code == 14

    ran = ok(clone.inv("yank", "1.10.0", "--reason", "loses events"))

    assert "1 → 1.9.0" in ran.stdout
    assert "1.10 still names 1.10.0" in ran.text
    assert digests(world, "1") == recorded(world, "v1.9.0")
    assert digests(world, "1.10.0") == digests(world, "1.10") == recorded(world, "v1.10.0")
    for wanted in ("1.10.0", "1.10"):
        refused = clone.inv("up", "--release", wanted)
        assert (refused.code, "loses events" in refused.stderr) == (14, True), refused.text
    assert listed(clone)["v1.10.0"]["state"] == "yanked"
    assert listed(clone)["v1.10.0"]["reason"] == "loses events"
    again = ok(clone.inv("yank", "1.10.0", "--reason", "another"))
    assert "1 →" not in again.stdout
    assert listed(clone)["v1.10.0"]["reason"] == "loses events"
    clone.touch()
    ok(clone.release("--bump", "patch"))
    assert digests(world, "1.10") == digests(world, "1") == recorded(world, "v1.10.1")
    assert set(digests(world, "1")) == set(SERVICES)
