"""Reruns: an identical tag is left alone, a different one burns the version, nothing is built twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from build.errors import RegistryError
from build.registry.client import RegistryClient
from build.registry.oci import digest_of
from build.release import candidates, publish
from tests.release.queries import ALWAYS, INDEX, OTHER, digests, immutable, ok, planned, recorded
from tests.support.images import exported
from tests.support.proxy import Proxy, Rule, status
from tests.support.steps import begins
from tests.support.world import World


def _interrupted(world: World, proxy: Proxy, pattern: str) -> None:
    """Create a release that was claimed, and whose publishing failed at requests matching `pattern`."""
    proxy.rules = [Rule(pattern, status(403), times=ALWAYS)]
    assert world.clone.release().code == 10
    proxy.heal()


def test_i1_an_equal_tag_is_left_alone(faulty: World, proxy: Proxy) -> None:
    """A tag that already has the digest is not written again: Harbor answers 412 even to an identical PUT."""
    _interrupted(faulty, proxy, "PUT .*/release/manifests/0.1.0")
    proxy.rules = [immutable()]

    ok(faulty.clone.inv("release", "--resume"))

    assert proxy.count(r"PUT .*/(one|two)/manifests/0\.1\.0") == 0
    assert digests(faulty, "0.1") == recorded(faulty, "v0.1.0")


def test_i2_another_digest_burns_the_version(world: World) -> None:
    """A tag that names something else is never re-pointed: both digests are named, and after a yank releases go on."""
    repository = f"{world.namespace}/one"
    running = world.clone.start("release", "--skip-scan", "--skip-smoke")
    running.when(begins("claim"), lambda: world.hub.put(repository, "0.1.0", OTHER, INDEX), held=True)
    ran = running.wait()

    assert ran.code == 15, ran.text
    assert "the version is burned" in ran.stderr
    assert digest_of(OTHER) in ran.stderr
    assert recorded(world, "v0.1.0")["one"] in ran.stderr
    assert world.hub.digest(repository, "0.1.0") == digest_of(OTHER)

    assert "./inv yank" in ran.stderr
    ok(world.clone.inv("yank", "0.1.0", "--reason", "burned"))
    ok(world.clone.release("--bump", "patch"))
    assert digests(world, "0.1") == recorded(world, "v0.1.1")


def test_i2_a_burned_version_is_seen_before_anything_is_built(world: World) -> None:
    """A tag in the registry that no release made stops the plan, with its digest and the way to proceed."""
    world.hub.put(f"{world.namespace}/one", "0.1.0", OTHER, INDEX)

    ran = world.clone.release()

    assert ran.code == 15, ran.text
    assert digest_of(OTHER) in ran.stderr
    assert begins("build") not in ran.stderr
    assert world.git_tags() == {}
    ok(world.clone.release("--version", "0.1.1"))


def test_i3_resuming_never_builds(faulty: World, proxy: Proxy) -> None:
    """Another machine publishes the record's digests: a build would give new ones, because of its provenance."""
    _interrupted(faulty, proxy, "PUT .*/one/manifests/0.1.0")
    claimed = recorded(faulty, "v0.1.0")

    ran = ok(faulty.another().inv("release", "--resume"))

    assert begins("build") not in ran.stderr
    assert digests(faulty, "0.1.0") == digests(faulty, "0.1") == digests(faulty, "0") == claimed
    body = faulty.hub.manifest(f"{faulty.namespace}/one", "0.1")
    kinds = [one.get("annotations", {}).get("vnd.docker.reference.type") for one in body["manifests"]]
    assert kinds == [None, "attestation-manifest"]


def test_i3_resuming_needs_git_and_no_engine(faulty: World, proxy: Proxy, tmp_path: Path) -> None:
    """A machine without Docker lists and finishes another's release; a release of its own is refused before a build."""
    _interrupted(faulty, proxy, "PUT .*/one/manifests/0.1.0")
    (tmp_path / "git").symlink_to(shutil.which("git") or "")
    clone, bare = faulty.another(), {"PATH": str(tmp_path)}

    assert "interrupted" in ok(clone.inv("releases", **bare)).stdout
    ok(clone.inv("release", "--resume", **bare))

    assert digests(faulty, "0.1") == recorded(faulty, "v0.1.0")
    clone.commit("one")
    ran = clone.release("--bump", "patch", **bare)
    assert ran.code == 7, ran.text
    assert "docker is not installed" in ran.stderr
    assert list(faulty.git_tags()) == ["v0.1.0"]


def test_i4_a_stale_local_record_is_not_published(world: World) -> None:
    """A local record of older content is ignored: the fingerprint decides."""
    ok(world.clone.release())
    before = recorded(world, "v0.1.0")
    world.clone.commit("one")

    ok(world.clone.release())

    assert digests(world, "0.1.1")["one"] != before["one"]
    assert digests(world, "0.1.1")["two"] == before["two"]


def test_i4_i5_a_candidate_that_the_registry_lacks_is_built_again(world: World) -> None:
    """The registry, not this machine's records, says whether a candidate was pushed."""
    (line,) = planned(world.clone)["lines"]
    remembered = {
        one["service"]: {"digest": digest_of(b"gone"), "fingerprint": one["fingerprint"]} for one in line["services"]
    }
    state = world.clone.project.root / ".uc" / "candidates.json"
    state.parent.mkdir(exist_ok=True)
    state.write_text(json.dumps(remembered))

    ran = ok(world.clone.release())

    assert "builds one, two" in ran.stderr
    assert digests(world, "0.1.0") == recorded(world, "v0.1.0")


def test_i5_a_second_try_reuses_the_staged_images(world: World) -> None:
    """After a gate or a hook stopped a release nothing is rebuilt: its candidates are still in the registry."""
    hook = world.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert world.clone.release().code == 3
    hook.unlink()

    ran = ok(world.clone.release())

    assert "builds nothing" in ran.stderr
    assert {one["origin"] for one in world.record("v0.1.0")["services"].values()} == {"staged by an earlier try"}


def test_i6_an_old_claim_is_finished_from_a_later_commit(faulty: World, proxy: Proxy) -> None:
    """A half-published release is finished by the toolkit that is checked out now, whatever its own tag contains."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    _interrupted(faulty, proxy, "PUT .*/two/manifests/0.1.1")
    faulty.clone.commit("two", "chore: a later commit that releases nothing")

    ok(faulty.clone.inv("release", "--resume"))

    assert digests(faulty, "0.1.1") == digests(faulty, "0.1") == recorded(faulty, "v0.1.1")


def _layout(folder: Path) -> str:
    """Write an OCI layout of an image for two platforms; return the digest of its index."""

    def store(content: bytes) -> dict[str, object]:
        digest = digest_of(content)
        path = folder / "blobs" / digest.replace(":", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {"digest": digest, "size": len(content)}

    children = []
    for architecture in ("amd64", "arm64"):
        platform = {"os": "linux", "architecture": architecture}
        config = store(json.dumps(platform | {"rootfs": {"type": "layers", "diff_ids": []}}).encode())
        kind = "application/vnd.oci.image.manifest.v1+json"
        body = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": config | {"mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [],
        }
        children.append(store(json.dumps(body).encode()) | {"mediaType": kind, "platform": platform})
    index = store(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode())
    top = {"schemaVersion": 2, "manifests": [index | {"mediaType": INDEX}]}
    (folder / "index.json").write_text(json.dumps(top))
    return str(index["digest"])


def test_i7_an_image_for_two_platforms_in_an_immutable_repository(faulty: World, proxy: Proxy, tmp_path: Path) -> None:
    """Children are pushed by digest, so an immutability rule refuses none of them; all platforms are read back."""
    proxy.rules = [immutable()]
    digest = _layout(tmp_path / "one")
    repository = f"{faulty.namespace}/one"

    manifest = faulty.clone.project.load()

    with RegistryClient(manifest) as registry:
        for _ in range(2):
            candidate = candidates.push(registry, {"one": exported(manifest.home, "one", tmp_path / "one")})["one"]
            publish.pin(registry, repository, "1.0.0", candidate.stored)

    assert candidate.platforms == ("linux/amd64", "linux/arm64")
    assert faulty.hub.digest(repository, "1.0.0") == digest
    assert proxy.count(r"PUT .*/manifests/1\.0\.0") == 1


def test_a_candidate_that_lost_a_child_is_not_released(faulty: World, proxy: Proxy, tmp_path: Path) -> None:
    """Reading back requests every manifest that an index names."""
    digest = _layout(tmp_path / "one")
    repository = f"{faulty.namespace}/one"
    manifest = faulty.clone.project.load()
    with RegistryClient(manifest) as registry:
        image = candidates.push(registry, {"one": exported(manifest.home, "one", tmp_path / "one")})["one"].image
        child = faulty.hub.manifest(repository, digest)["manifests"][1]["digest"]
        assert registry.delete_manifest(repository, child)

        with pytest.raises(RegistryError, match=child):
            candidates.read_back(registry, image)
