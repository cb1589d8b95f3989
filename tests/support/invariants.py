"""Invariants of releases, checked on a world without the library.

Digests, immutable tags, owners, records and floats; one release for each commit and channel; images with the commit's
bytes; claims on the remote.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from semver import Version

from tests.support.world import SERVICES, World


def assert_invariants(world: World, *, settled: bool = True) -> None:
    """Assert one digest per version, immutable tags, forward-only floats, one owner; if `settled`, no partial release.

    Remembers what it saw, so that the next call detects what moved. What `world.forget` removed may be gone.
    """
    public = world.public()
    records = {tag: record for tag in public.git if (record := world.record(tag))}
    owners = {record["version"]: (tag, record) for tag, record in records.items()}
    assert len(owners) == len(records), "two tags claim one version"
    _released_once(records)
    _immutable(world, public.git, public.images)
    _attached(world, public.images, records)
    _owned(public.images, owners)
    complete, yanked = _released(public.images)
    for version in complete:
        tag, record = owners[str(version)]
        _complete(world, tag, record, public.images)
    _floats(world, public.images, complete - yanked, owners, settled=settled)
    if settled:
        open_claims = {Version.parse(one) for one in owners.keys() - world.forgotten} - complete - yanked
        assert not open_claims, f"claimed and not complete: {sorted(map(str, open_claims))}"


def _released_once(records: dict[str, Any]) -> None:
    """Assert that no commit has two releases of a channel on a line."""
    seen: dict[tuple[str, str, str], str] = {}
    for tag, record in records.items():
        channel = (Version.parse(record["version"]).prerelease or "").partition(".")[0]
        key = (record["line"], record["commit"], channel)
        assert key not in seen, f"{seen[key]} and {tag} are of one commit"
        seen[key] = tag


def _versions(tags: list[str]) -> dict[str, Version]:
    versions = {}
    for tag in tags:
        try:
            versions[tag] = Version.parse(tag)
        except ValueError:
            continue
    return versions


def _immutable(world: World, git: dict[str, str], images: dict[str, str]) -> None:
    """Assert that a full version, and what is attached to an image, never names another digest."""
    fixed = {f"git {tag}": found for tag, found in git.items()}
    fixed |= {
        name: digest for name, digest in images.items() if _versions([name.partition(":")[2]]) or is_attached(name)
    }
    for name, before in world.memory.items():
        if not name.startswith(("float ", "whole ")) and name.rpartition(":")[2] not in world.forgotten:
            assert fixed.get(name) == before, f"{name} was {before} and is {fixed.get(name)}"
    world.memory |= fixed


def _owned(images: dict[str, str], owners: dict[str, tuple[str, Any]]) -> None:
    """Assert that every version tag of a service belongs to the release that claimed it, with its digest."""
    for name, digest in images.items():
        repository, _, tag = name.partition(":")
        if repository == "release" or not _versions([tag]):
            continue
        assert tag in owners, f"{name} is public but {tag} was never claimed"
        assert owners[tag][1]["services"][repository]["digest"] == digest, f"{name} is not what {tag} claimed"


def _released(images: dict[str, str]) -> tuple[set[Version], set[Version]]:
    tags = [name.partition(":")[2] for name in images if name.startswith("release:")]
    yanked = set(_versions([tag.removesuffix("-yanked") for tag in tags if tag.endswith("-yanked")]).values())
    complete = set(_versions([tag for tag in tags if not tag.endswith("-yanked")]).values())
    return complete, yanked


def _complete(world: World, tag: str, record: Any, images: dict[str, str]) -> None:
    """Assert a complete release: every image is complete under its digest, and the artifact is the tag's record."""
    version = record["version"]
    if version in world.forgotten:
        return
    assert set(record["services"]) == set(SERVICES)
    for service, one in record["services"].items():
        assert images.get(f"{service}:{version}") == one["digest"], f"{service}:{version} of a complete release"
        if f"whole {one['digest']}" not in world.memory:
            _whole(world, f"{world.namespace}/{service}", one["digest"])
            _is_the_commit(world, service, one["digest"], record["commit"])
            world.memory[f"whole {one['digest']}"] = one["digest"]
    repository = f"{world.namespace}/release"
    layer = world.hub.manifest(repository, version)["layers"][0]["digest"]
    assert world.hub.blob(repository, layer) == world.record_bytes(tag), f"release:{version} is not what {tag} says"


def _whole(world: World, repository: str, digest: str) -> None:
    body = world.hub.manifest(repository, digest)
    assert body is not None, f"{repository}@{digest} is gone"
    for child in body.get("manifests", []):
        _whole(world, repository, child["digest"])
    for blob in [*([body["config"]] if "config" in body else []), *body.get("layers", [])]:
        assert world.hub.has(repository, blob["digest"]), f"{repository} lacks {blob['digest']} of {digest}"


def _is_the_commit(world: World, service: str, digest: str, commit: str) -> None:
    """Assert that what an image copied from its folder is what the commit has there, and nothing else."""
    repository = f"{world.namespace}/{service}"
    body = world.hub.manifest(repository, digest)
    for child in body.get("manifests", []):
        if "vnd.docker.reference.type" not in child.get("annotations", {}):
            body = world.hub.manifest(repository, child["digest"])
    copied = {}
    for layer in body["layers"]:
        with tarfile.open(fileobj=io.BytesIO(world.hub.blob(repository, layer["digest"]) or b"")) as archive:
            for member in archive:
                if member.isfile() and member.name in {"content", "server.py"}:
                    file = archive.extractfile(member)
                    copied[member.name] = file.read() if file else b""
    for name, content in copied.items():
        shown = world.git_file(commit, f"docker/{service}/{name}")
        assert content == shown, f"{service}@{digest}: {name} is not what {commit} has"
    assert "content" in copied or "server.py" in copied, f"{service}@{digest} has nothing of its folder"


def winners(eligible: set[Version]) -> dict[str, Version]:
    """Return what floats must name: the highest stable release of each X.Y and X."""
    stable = sorted(one for one in eligible if not one.prerelease)
    return {name: version for version in stable for name in (f"{version.major}.{version.minor}", f"{version.major}")}


def is_attached(name: str) -> bool:
    """Whether REPOSITORY:TAG is a signature, attestations or a bill of materials."""
    return name.partition(":")[2].startswith("sha256-")


def _attached(world: World, images: dict[str, str], records: dict[str, Any]) -> None:
    """Assert that nothing is attached to what no release has claimed."""
    claimed = {(name, service["digest"]) for record in records.values() for name, service in record["services"].items()}
    claimed |= {pair for tag in records for pair in world.signed(tag)}
    for name in filter(is_attached, images):
        repository, _, tag = name.partition(":")
        digest = tag.rpartition(".")[0].replace("-", ":")
        assert repository == "release" or (repository, digest) in claimed, f"{name} is of no release"


def _floats(
    world: World, images: dict[str, str], eligible: set[Version], owners: dict[str, tuple[str, Any]], *, settled: bool
) -> None:
    """Assert that floats name complete releases and never move back; if settled, exactly the highest."""
    wanted = winners(eligible)
    for name, digest in images.items():
        repository, _, tag = name.partition(":")
        if _versions([tag]) or tag.endswith("-yanked") or repository == "release" or is_attached(name):
            continue
        of_digest = [
            version
            for version in map(Version.parse, owners)
            if owners[str(version)][1]["services"][repository]["digest"] == digest
            and (f"{version.major}.{version.minor}" == tag or f"{version.major}" == tag)
        ]
        assert of_digest, f"{name} names {digest}, which no release of {tag} has"
        lowest = Version.parse(world.memory.get(f"float {name}", "0.0.0"))
        if lowest in eligible:
            assert max(of_digest) >= lowest, f"{name} was at {lowest} and went back to {max(of_digest)}"
        if settled and tag in wanted:
            world.memory[f"float {name}"] = str(wanted[tag])
    if not settled:
        return
    for tag, version in wanted.items():
        if str(version) in world.forgotten:
            continue
        record = owners[str(version)][1]
        for service in SERVICES:
            expected = record["services"][service]["digest"]
            assert images.get(f"{service}:{tag}") == expected, f"{service}:{tag} must name {version}"
        assert images.get(f"release:{tag}") == images[f"release:{version}"], f"release:{tag} must name {version}"


def assert_nothing_new(world: World, before: Any) -> None:
    """Assert that nothing became public since: no tag in any repository, no git tag."""
    after = world.public()
    assert after.git == before.git, "a git tag is public"
    assert after.images == before.images, f"public: {json.dumps(sorted(set(after.images) - set(before.images)))}"
