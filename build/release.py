"""A release is one transaction over git and the registry. Read STEPS first, at the foot: they run in that order.

Before `_claim` nothing is public: candidates have digests that nobody names. After it each step is idempotent and needs
only the record that the git tag carries, so FINISH completes a release from any clone, whatever machine began it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from build import (
    candidates,
    claim,
    console,
    engine,
    floats,
    gates,
    images,
    pipeline,
    plan,
    preflight,
    probe,
    publish,
    repo,
    state,
    survey,
)  # fmt: skip
from build.bases import Resolved
from build.candidates import Candidate
from build.distribution import Distribution
from build.errors import BuildError, VersionTaken
from build.manifest import Manifest
from build.pipeline import Skip, Step, Stop
from build.plan import Plan, PlannedLine, Wish, World
from build.probe import Policy
from build.record import SCHEMA, Record, RecordedBase, RecordedGate, RecordedService
from build.registry import login

SKIPPED = RecordedGate(verdict="skipped")


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
    resolved: Mapping[str, Resolved] = field(default_factory=dict)
    plan: Plan | None = None
    layouts: Mapping[str, Path] = field(default_factory=dict)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    gates: Mapping[str, RecordedGate] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    finished: tuple[Record, ...] = ()
    audit: bool = False

    @property
    def lines(self) -> tuple[PlannedLine, ...]:
        """The lines that are released."""
        assert self.plan is not None
        return self.plan.lines


def _resume(run: Run) -> Run:
    """Finish what a killed release began, before anything else: the next version builds on it."""
    engine.require(run.manifest.tools)
    claim.fetch_tags(run.manifest.root, run.remote)
    unfinished = survey.unfinished(run.manifest, run.registry)
    for record in unfinished:
        console.note(f"finishing {record.tag}, claimed {record.created} and interrupted")
    done = pipeline.execute(FINISH, replace(run, records=tuple(unfinished))) if unfinished else run
    settled = survey.settle(run.manifest, run.registry, audit=run.audit)
    if not unfinished and not settled:
        raise Skip("nothing was interrupted")
    for line, moves in settled.items():
        console.note(f"{line}: {', '.join(move.name for move in moves)} was behind, and is right now")
    behind = survey.behind(run.manifest, run.registry, settled)
    return replace(done, records=(), finished=(*unfinished, *behind))


def _plan(run: Run) -> Run:
    saved = run.options.saved
    world, resolved = survey.look(run.manifest, run.registry, run.remote, run.options.environment)
    done = {one.line: one for one in run.finished if plan.grants(one, world, run.options.wish)}
    if saved is not None and not done:
        plan.check(saved, plan.fingerprint(world))
    made = saved if saved is not None and not done else plan.compute(world, run.options.wish, done=done)
    if not made.lines:
        raise Stop(f"nothing to release: {made.nothing}")
    for line in made.lines:
        built = [one.service for one in line.services if one.action == "build"]
        said = f"builds {', '.join(built)}" if built else "builds nothing: no image changed"
        console.note(f"{line.line} {line.previous or 'nothing'} → {line.version}; {said}")
    return replace(run, world=world, resolved=resolved, plan=made)


def _preflight(run: Run) -> Run:
    assert run.plan is not None
    assert run.world is not None
    repo.require_full(run.world.history)
    preflight.check_tree(run.world.history, run.manifest.release)
    preflight.check_bases(run.manifest, run.plan, run.resolved)
    preflight.check_room(run.manifest)
    preflight.check_rights(run.manifest, run.registry, run.plan, run.remote)
    if {"scan", "smoke"} - run.options.skip:
        login(run.manifest)  # the engine and Trivy fetch the candidates themselves
    preflight.check_database(run.manifest, run.options.skip)
    return run


def _build(run: Run) -> Run:
    assert run.world is not None
    model = survey.definition(run.manifest, run.world.history, run.resolved, run.lines)
    wanted = [one.service for line in run.lines for one in line.services if one.action == "build"]
    if not wanted:
        raise Skip("no image changed")
    return replace(run, layouts=images.export(run.manifest, model, wanted, run.manifest.state / "layouts"))


def _stage(run: Run) -> Run:
    namespace = run.manifest.registry.namespace
    found = candidates.push(run.registry, namespace, run.layouts)
    reused = {one.service: one.digest for line in run.lines for one in line.services if one.action == "reuse"}
    read = publish.at_once(
        lambda item: candidates.read_back(run.registry, f"{namespace}/{item[0]}", item[0], item[1]), reused.items()
    )
    found |= {one.service: one for one in read}
    for line in run.lines:
        for one in line.services:
            sent = found[one.service].sent
            console.note(f"{one.service}@{found[one.service].stored.digest[:19]}: {_sent(sent) if sent else one.why}")
    shutil.rmtree(run.manifest.state / "layouts", ignore_errors=True)
    run = replace(run, candidates=found)
    kept = {
        one.service: {"digest": found[one.service].stored.digest, "fingerprint": one.fingerprint}
        for one in _services(run)
    }
    path = plan.candidates_file(run.manifest)
    state.write(path, state.read(path) | kept)
    return run


def _sent(size: int) -> str:
    return f"{size / 1e6:.1f} MB sent" if size >= 100_000 else f"{size / 1e3:.1f} kB sent"


def _services(run: Run) -> list[plan.PlannedService]:
    return [one for line in run.lines for one in line.services]


def _images(run: Run) -> dict[str, images.BuiltImage]:
    versions = {one.service: line.version for line in run.lines for one in line.services}
    return {
        one.service: plan.built_image(
            run.manifest, one.service, run.candidates[one.service].stored.digest, one.fingerprint, versions[one.service]
        )
        for one in _services(run)
    }


def _scan(run: Run) -> Run:
    if "scan" in run.options.skip:
        console.warn("the scan is skipped, and the release will say so")
        return replace(run, gates={**run.gates, "scan": SKIPPED})
    return replace(run, gates={**run.gates, "scan": gates.scan(run.manifest, _images(run))})


def _smoke(run: Run) -> Run:
    if "smoke" in run.options.skip:
        console.warn("the smoke checks are skipped, and the release will say so")
        return replace(run, gates={**run.gates, "smoke": SKIPPED})
    assert run.world is not None
    beside = survey.released_images(run.manifest, run.world, [one.service for one in _services(run)])
    return replace(run, gates={**run.gates, "smoke": gates.ask(run.manifest, _images(run), beside)})


def _claim(run: Run) -> Run:
    """Take the version: from here on it is ours, and only finishing is left."""
    assert run.plan is not None
    assert run.world is not None
    root = run.manifest.root
    now = replace(run.world, remote_tags=claim.remote_tags(root, run.remote))
    if gone := plan.lost(now, run.plan):
        message = f"{', '.join(gone)}: another release was made meanwhile; nothing of this one was published"
        raise VersionTaken(message, hint="./inv release again: it takes the next version")
    records = tuple(_record_of(run, line) for line in run.lines)
    claims = [claim.prepare(root, one, f"{run.manifest.project.title}: {one.line} {one.version}") for one in records]
    branch = run.world.history.branch if run.manifest.release.push_branch else None
    claim.push(root, run.remote, claims, branch=branch or "")
    for one in records:
        console.note(f"{one.tag} is ours, on {run.remote or 'this repository'}")
    return replace(run, records=records)


def _record_of(run: Run, line: PlannedLine) -> Record:
    assert run.world is not None
    manifest, history = run.manifest, run.world.history
    used = {key: _base(base) for key, base in run.resolved.items()}
    services = {
        one.service: RecordedService(
            digest=run.candidates[one.service].stored.digest,
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
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        registry=plan.home(manifest),
        repository=plan.repository(manifest, line.line),
        services=services,
        gates=dict(run.gates),
        tools=survey.tools(manifest),
        authority=run.authority,
    )


def _base(base: Resolved) -> RecordedBase:
    return RecordedBase(reference=base.reference, source=base.source, digest=base.digest)


def _publish(run: Run) -> Run:
    staged = {name: one.stored for name, one in run.candidates.items()}
    for one in run.records:
        try:
            put = publish.images(run.registry, one, staged)
        except BuildError as error:
            raise survey.explain_unfinished(one, error) from None
        console.note(f"{one.version}: {put} of {len(one.services)} tags put, all read back")
    return run


def _record(run: Run) -> Run:
    for one in run.records:
        publish.record(run.registry, one)
        console.note(f"{one.repository}:{one.version}: the release is complete")
    return run


def _float(run: Run) -> Run:
    moving = [one for one in run.records if floats.names(one.parsed)]
    if not moving:
        raise Skip("a pre-release moves no float")
    policy: Policy = probe.policy(run.manifest, run.registry)
    if policy.floats != "client":
        raise Skip(f"X.Y and X are not ours to move in {policy.address}: {policy.floats}")
    staged = {name: one.stored for name, one in run.candidates.items()}
    for one in moving:
        moves = publish.move_floats(
            run.registry,
            one.repository,
            only=floats.names(one.parsed),
            audit=True,
            held={one.parsed: one},
            staged=staged,
        )
        said = ", ".join(f"{move.name} → {move.version}" for move in moves)
        console.note(f"{one.line}: {said or 'every float is right'}")
    return run


FINISH: tuple[Step[Run], ...] = (
    Step("publish the immutable tags", _publish),
    Step("record the release", _record),
    Step("move the floating tags", _float),
)
STEPS: tuple[Step[Run], ...] = (
    Step("finish what was interrupted", _resume),
    Step("plan", _plan),
    Step("preflight", _preflight),
    Step("build what changed", _build),
    Step("stage the candidates", _stage),
    Step("scan the candidates", _scan),
    Step("smoke-test the candidates", _smoke),
    Step("claim the version", _claim),
    *FINISH,
)


def make(manifest: Manifest, options: Options, *, resume_only: bool = False) -> Run:
    """Make a release, or with `resume_only` finish what was interrupted; the last state of the run.

    Raises ReleaseRefused before anything is done where this machine may not release, and each step's own errors.
    """
    who = preflight.authority(manifest.release, options.environment, local=options.local)
    with Distribution(manifest) as registry:
        remote = claim.remote(manifest.root, manifest.release.remote)
        run = Run(
            manifest=manifest, options=options, registry=registry, authority=who, remote=remote, audit=resume_only
        )
        return pipeline.execute(STEPS[:1] if resume_only else STEPS, run)


def preview(manifest: Manifest, wish: Wish, environment: Mapping[str, str]) -> Plan:
    """What a release would do now; nothing is changed. Raises as planning does."""
    with Distribution(manifest) as registry:
        remote = claim.remote(manifest.root, manifest.release.remote)
        waiting = tuple(one.tag for one in survey.unfinished(manifest, registry))
        world, _ = survey.look(manifest, registry, remote, environment)
        return plan.compute(world, wish, unfinished=waiting)
