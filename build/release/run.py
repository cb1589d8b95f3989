"""The state of a release: what was asked for, and what its steps have found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from build.config.manifest import Manifest
from build.gates.verdict import GateVerdict
from build.images import support
from build.images.export import Exported
from build.images.image import Image
from build.images.plan import BuildPlan
from build.registry.client import RegistryClient
from build.registry.oci import RawManifest
from build.release import candidates
from build.release.candidates import Candidate
from build.release.names import release_repository
from build.release.plan import Plan, PlannedLine, PlannedService
from build.release.proof import Proof
from build.release.published import Published
from build.release.record import SCHEMA, Record, RecordedBase, RecordedDocument, RecordedService
from build.release.request import Request
from build.release.world import World
from build.signing.signer import Signer


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the caller asked for. `skip` names gates, `saved` is a plan to apply, `environment` the caller's."""

    request: Request
    skip: frozenset[str] = frozenset()
    local: bool = False
    saved: Plan | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The state that goes from step to step; each step adds to it and leaves what others added unchanged.

    `claims` are the version tags that the remote had at the start, `records` the releases to publish, `finished` those
    that an earlier run had begun. `tools` are the versions of engine, buildx, Compose and Trivy. `proofs` are by git
    tag. `audit`: check every float.
    """

    manifest: Manifest
    options: Options
    registry: RegistryClient
    authority: str
    remote: str
    claims: Mapping[str, str]
    published: Published
    world: World | None = None
    build_plan: BuildPlan | None = None
    plan: Plan | None = None
    exports: Mapping[str, Exported] = field(default_factory=dict)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    gates: Mapping[str, GateVerdict] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    signer: Signer | None = None
    records: tuple[Record, ...] = ()
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    finished: tuple[Record, ...] = ()
    audit: bool = False

    @property
    def lines(self) -> tuple[PlannedLine, ...]:
        """The lines that are released."""
        assert self.plan is not None
        return self.plan.lines

    @property
    def services(self) -> list[PlannedService]:
        """The services that are released."""
        return [planned for line in self.lines for planned in line.services]

    @property
    def fingerprints(self) -> dict[str, str]:
        """The planned fingerprint of each service that is released."""
        return {planned.service: planned.fingerprint for planned in self.services}

    @property
    def previous(self) -> dict[str, RecordedService]:
        """The images of the releases before, by service."""
        assert self.world is not None
        records = (details.previous for details in self.world.details.values() if details.previous)
        return {name: image for record in records for name, image in record.services.items()}

    @property
    def reused(self) -> list[Image]:
        """The images that are not built: the registry has them, and only what the plan says is known of them."""
        return [
            Image(
                service=planned.service,
                name=self.manifest.image(planned.service),
                tag=line.version,
                digest=planned.digest,
                fingerprint=planned.fingerprint,
                size=None,
                pushed=True,
            )
            for line in self.lines
            for planned in line.services
            if planned.action == "reuse"
        ]

    @property
    def images(self) -> dict[str, Image]:
        """The images of the candidates, in the order of the plan."""
        return {planned.service: self.candidates[planned.service].image for planned in self.services}

    def staged(self) -> dict[str, RawManifest]:
        """The manifests that need not be fetched, by service: those of this run, else of the last one here."""
        earlier = candidates.remembered(self.manifest.workspace.candidates)
        staged = {name: candidate.stored for name, candidate in earlier.items() if candidate.stored}
        return staged | {name: candidate.stored for name, candidate in self.candidates.items()}


def records_of(run: Run, bills: Mapping[str, RecordedDocument]) -> tuple[Record, ...]:
    """The record of each line's release, as its tag will carry it; `bills` are the bills of materials by service.

    Lines claimed together have one `created`.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return tuple(_record_of(run, line, created, bills) for line in run.lines)


def _made_of(run: Run, services: Mapping[str, RecordedService]) -> dict[str, str]:
    """The age and the support of the bases, and the commits of sources in other repositories.

    They stand among the tools, because readers of schema 1 refuse a field they lack.
    """
    assert run.world is not None
    assert run.build_plan is not None
    used, settings = {key for service in services.values() for key in service.bases}, run.manifest.bases
    found = {
        f"base {key}": support.described(settings, run.build_plan.bases[key], support.today()) for key in sorted(used)
    }
    return found | {f"source {key}": commit for key, commit in sorted(run.world.history.inputs.commits.items())}


def _record_of(run: Run, line: PlannedLine, created: str, bills: Mapping[str, RecordedDocument]) -> Record:
    assert run.world is not None
    assert run.build_plan is not None
    manifest, history = run.manifest, run.world.history
    bases = {
        key: RecordedBase(reference=base.reference, source=base.source, digest=base.digest)
        for key, base in run.build_plan.bases.items()
    }
    services = {
        planned.service: RecordedService(
            digest=run.candidates[planned.service].image.digest,
            fingerprint=planned.fingerprint,
            origin="built" if planned.action == "build" else planned.why,
            platforms=run.candidates[planned.service].platforms,
            bases={key: bases[key] for key in manifest.services[planned.service].bases},
            data=run.candidates[planned.service].data,
            sbom=bills.get(planned.service),
        )
        for planned in line.services
    }
    return Record(
        schema=SCHEMA,
        line=line.line,
        version=line.version,
        tag=line.tag,
        previous=line.previous,
        commit=history.commit,
        committed=datetime.fromtimestamp(history.committed, UTC).isoformat(),
        created=created,
        registry=manifest.home,
        repository=release_repository(manifest, line.line),
        services=services,
        gates=dict(run.gates),
        tools={**run.tools, **_made_of(run, services)},
        authority=run.authority,
    )
