"""What a release is asked for, and what its steps have found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from build.config.manifest import Manifest
from build.gates.verdict import GateVerdict
from build.images.bases import Resolved
from build.images.export import Exported
from build.images.image import Image
from build.images.plan import BuildPlan
from build.registry.client import Distribution
from build.release import plan, survey
from build.release.candidates import Candidate
from build.release.plan import Plan, PlannedLine, PlannedService, World
from build.release.record import SCHEMA, Record, RecordedBase, RecordedService
from build.release.request import Wish


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the caller asked for. `skip` names gates, `saved` is a plan to apply, `environment` the caller's."""

    wish: Wish
    skip: frozenset[str] = frozenset()
    local: bool = False
    saved: Plan | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the steps have found so far; each adds to it and changes nothing that another found."""

    manifest: Manifest
    options: Options
    registry: Distribution
    authority: str
    remote: str
    world: World | None = None
    build_plan: BuildPlan | None = None
    plan: Plan | None = None
    exports: Mapping[str, Exported] = field(default_factory=dict)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    gates: Mapping[str, GateVerdict] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
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
        return [one for line in self.lines for one in line.services]

    def reused(self) -> list[Image]:
        """The images that are taken over: the registry has them, and nothing is known but what the plan says."""
        return [
            Image(
                service=one.service,
                name=self.manifest.image(one.service),
                tag=line.version,
                digest=one.digest,
                fingerprint=one.fingerprint,
                size=None,
                pushed=True,
            )
            for line in self.lines
            for one in line.services
            if one.action == "reuse"
        ]

    def images(self) -> dict[str, Image]:
        """The images of the candidates, in the order of the plan."""
        return {one.service: self.candidates[one.service].image for one in self.services}


def records_of(run: Run) -> tuple[Record, ...]:
    """The record of each line's release, as its tag will carry it; claimed together, they have one `created`."""
    created, tools = datetime.now(UTC).isoformat(timespec="seconds"), survey.tools(run.manifest)
    return tuple(_record_of(run, line, created, tools) for line in run.lines)


def _record_of(run: Run, line: PlannedLine, created: str, tools: dict[str, str]) -> Record:
    assert run.world is not None
    assert run.build_plan is not None
    manifest, history = run.manifest, run.world.history
    used = {key: _base(base) for key, base in run.build_plan.bases.items()}
    services = {
        one.service: RecordedService(
            digest=run.candidates[one.service].image.digest,
            fingerprint=one.fingerprint,
            origin="built" if one.action == "build" else one.why,
            platforms=run.candidates[one.service].platforms,
            bases={key: used[key] for key in manifest.services[one.service].bases},
        )
        for one in line.services
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
        repository=plan.repository(manifest, line.line),
        services=services,
        gates=dict(run.gates),
        tools=tools,
        authority=run.authority,
    )


def _base(base: Resolved) -> RecordedBase:
    return RecordedBase(reference=base.reference, source=base.source, digest=base.digest)
