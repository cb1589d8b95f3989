"""The plan of a build: the bake file, with the versions, bases and fingerprints that it was written from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from build.config.manifest import Manifest
from build.git.inputs import compare
from build.git.versions import History
from build.images import fingerprint
from build.images.bake_file import BakeFile
from build.images.bases import Resolved
from build.images.contents import ByContext, Reader
from build.images.definition import bake_file
from build.images.image import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildPlan:
    """What a build makes; version and fingerprint by service, the bases by key.

    The fingerprints are those of the sources when the plan was made; `left_out` is by the path and Dockerfile of a
    context.
    """

    manifest: Manifest
    bake_file: BakeFile
    versions: Mapping[str, str]
    bases: Mapping[str, Resolved]
    fingerprints: Mapping[str, str]
    left_out: ByContext

    def current_fingerprints(self, services: Collection[str]) -> dict[str, str]:
        """The fingerprints of services from their sources as they are at this moment. Raises ManifestError."""
        return _fingerprints(self.bake_file, self.bases, services, Reader(compare(self.manifest)))


def plan_build(
    manifest: Manifest,
    history: History,
    versions: Mapping[str, str],
    bases: Mapping[str, Resolved],
    services: Sequence[str],
) -> BuildPlan:
    """The plan for the services, with the fingerprints of their sources as they are now.

    `versions` and `bases` must have what the services need. Raises SecretError for a build secret that is configured
    and not there.
    """
    bake = bake_file(manifest, history, versions, bases, services)
    reader = Reader(history.inputs)
    return BuildPlan(
        manifest=manifest,
        bake_file=bake,
        versions={name: versions[name] for name in services},
        bases=bases,
        fingerprints=_fingerprints(bake, bases, services, reader),
        left_out=reader.left_out,
    )


def relabelled(plan: BuildPlan, manifest: Manifest, history: History, versions: Mapping[str, str]) -> BuildPlan:
    """The plan for the services of `versions` alone, under these versions.

    A version is only a label of an image, so the fingerprints stay.
    """
    return replace(
        plan,
        bake_file=bake_file(manifest, history, versions, plan.bases, list(versions)),
        versions=dict(versions),
        fingerprints={name: plan.fingerprints[name] for name in versions},
    )


def built_image(
    plan: BuildPlan, manifest: Manifest, service: str, digest: str, *, fingerprint: str, size: int, pushed: bool
) -> Image:
    """The image of a service that was built by the plan and has this digest."""
    return Image(
        service=service,
        name=manifest.image(service),
        tag=plan.versions[service],
        digest=digest,
        fingerprint=fingerprint,
        size=size,
        pushed=pushed,
        bases={key: plan.bases[key].source for key in manifest.services[service].bases},
    )


def _fingerprints(
    bake: BakeFile, bases: Mapping[str, Resolved], services: Collection[str], reader: Reader
) -> dict[str, str]:
    digests = {base.context: base.digest for base in bases.values()}
    return {name: fingerprint.of_target(bake["target"], name, digests, reader) for name in services}
