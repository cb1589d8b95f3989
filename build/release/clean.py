"""Cleaning the registry: what no release, no deployment and no float needs is deleted, by digest.

A release may run elsewhere meanwhile. What it has staged has no tag, so nobody but the checkout that staged it can
delete it, and that one waits a day. What it reuses is an image of a release, or one of the newest development builds.
What it has claimed counts: claims are read again just before anything is deleted. Each image goes after what is
attached to it, and its index last of all: so whenever a clean is killed, the next one finds what is left to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from build import console
from build.config.manifest import Manifest
from build.engine import turns
from build.errors import MissingTool, RegistryError, RepositoryError, UsageError
from build.git.remote import configured_remote, version_tags
from build.git.versions import lines
from build.registry import deletion, policy
from build.registry.client import RegistryClient
from build.registry.deletion import DeletesNothing
from build.release import candidates, claim, inventory, leftovers, needed
from build.release.leftovers import Kept, Leftover, Sorted
from build.release.names import release_repository, service_repository
from build.release.needed import Digests, Needed

KEPT_BUILDS = "10"
_RUNS_AT_MOST = timedelta(days=1)  # how long a release may take that staged a candidate
_ATTEMPTS = 3  # readings of the registry, if releases are claimed meanwhile


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """What was deleted from a registry, or would be, in order; the tags that stay; and what frees the disk then."""

    registry: str
    deleted: tuple[Leftover, ...]
    kept: tuple[Kept, ...]
    frees: str


def clean(
    manifest: Manifest, deployed: Digests, *, keep: str = KEPT_BUILDS, dry_run: bool = False
) -> Cleaned:  # fmt: skip
    """Delete what nothing needs; with `dry_run`, only find it. `deployed` is what deploy targets name.

    `keep` is how many of the newest development builds stay in each repository. Raises UsageError if it is no number,
    RepositoryError if the remote does not answer, RegistryError if the registry can't be read or refuses.
    """
    if not keep.isdecimal():
        message = f"--keep takes a number of development builds, and not '{keep}'"
        raise UsageError(message, hint="./inv registry.clean --keep 3")
    with ExitStack() as held:
        if not dry_run:
            with suppress(MissingTool):  # without an engine nothing is built here, or pushed
                held.enter_context(turns.building(manifest.root))
        registry = held.enter_context(RegistryClient(manifest))
        repositories = _settled(manifest, registry, deployed, keep=int(keep), dry_run=dry_run)
        if not dry_run:
            _carry_out(manifest, registry, repositories)
    return Cleaned(
        registry=manifest.home,
        deleted=tuple(leftover for each in repositories for leftover in each.leftovers),
        kept=tuple(kept for each in repositories for kept in each.kept),
        frees=deletion.frees(manifest),
    )


def _settled(
    manifest: Manifest, registry: RegistryClient, deployed: Digests, *, keep: int, dry_run: bool
) -> list[Sorted]:  # fmt: skip
    """Every repository, sorted by claims that are still all there are after the registry was read."""
    remote = configured_remote(manifest.root, manifest.release.remote)
    prefixes = [line.prefix for line in lines(manifest)]
    for _ in range(_ATTEMPTS):
        claims = claim.fetch_claims(manifest, remote)
        result = list(_sorted(manifest, registry, needed.read(manifest, registry, claims, deployed), keep))
        if dry_run or version_tags(manifest.root, remote, prefixes) == claims:
            return result
    raise RepositoryError("releases are claimed one after another; nothing was deleted", hint="later, the same again")


def _sorted(manifest: Manifest, registry: RegistryClient, what: Needed, keep: int) -> Iterator[Sorted]:
    old = _old_candidates(manifest)
    services = [service_repository(manifest, service) for service in manifest.services]
    records = [release_repository(manifest, line.name) for line in lines(manifest)]
    for repository in dict.fromkeys((*services, *records)):
        digests = {digest: why for (place, digest), why in what.digests.items() if place == repository}
        staged = {digest for place, digest in old if place == repository}
        contents = inventory.read(registry, repository, {*digests, *staged})
        yield leftovers.sort(contents, what.tags.get(repository, ()), digests, staged, keep=keep)
    yield leftovers.sort_probes(inventory.read(registry, policy.scratch_repository(manifest), ()))


def _old_candidates(manifest: Manifest) -> list[tuple[str, str]]:
    """What this checkout has staged for releases that can't be running any more, by repository and digest."""
    now = datetime.now(UTC)
    return [image for image, at in candidates.noted(manifest.workspace.staged).items() if now - at > _RUNS_AT_MOST]


def _carry_out(manifest: Manifest, registry: RegistryClient, repositories: Sequence[Sorted]) -> None:
    total, done = sum(len(each.leftovers) for each in repositories), 0
    try:
        for each in repositories[:1] if total else ():
            deletion.prove(manifest, registry, each.inventory.repository)
        for each in repositories:
            for leftover in each.leftovers:
                _delete(manifest, registry, each, leftover)
                done += 1
                console.passing(f"{done} of {total} deleted")
    except RegistryError as error:
        progress = f"{done} of {total} deleted, and the same command goes on" if done else "nothing was deleted"
        raise error.with_message(f"{error}; {progress}", hint=error.hint) from error
    finally:
        console.passing("")
    _forget(manifest, repositories)


def _delete(manifest: Manifest, registry: RegistryClient, place: Sorted, leftover: Leftover) -> None:
    """Delete a manifest after its parts.

    Harbor and ECR delete no part that an index names: there the parts go after it, or are the registry's to remove.
    """
    repository = place.inventory.repository
    parts = [part for part in place.manifests(leftover) if part != leftover.digest]
    refused = [part for part in parts if not _accepted(manifest, registry, repository, part)]
    deletion.delete(manifest, registry, repository, leftover.digest)
    for part in refused:
        _accepted(manifest, registry, repository, part)


def _accepted(manifest: Manifest, registry: RegistryClient, repository: str, digest: str) -> bool:
    try:
        deletion.delete(manifest, registry, repository, digest)
    except DeletesNothing:
        raise
    except RegistryError as error:
        if error.status not in {400, 403, 409, 412}:
            raise
        return False
    return True


def _forget(manifest: Manifest, repositories: Sequence[Sorted]) -> None:
    """Remove from the file of staged images those that are deleted, lost, or released since: tags name the latter."""
    old = _old_candidates(manifest)
    settled = set()
    for each in repositories:
        contents = each.inventory
        deleted = {leftover.digest for leftover in each.leftovers}
        for place, digest in old:
            settled_here = digest in deleted or digest not in contents.parts or contents.named(digest)
            if place == contents.repository and settled_here:
                settled.add((place, digest))
    candidates.forget(manifest.workspace.staged, settled)
