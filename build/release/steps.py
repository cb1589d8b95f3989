"""A release is one transaction over git and the registry. Read STEPS first, at the foot: they run in that order.

Before `_claim` nothing is public: candidates have digests, and no tag names them. After it every step is idempotent
and needs only the record that the git tag carries, so FINISH completes a release from any clone, on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from build import console, steps
from build.config.manifest import Manifest
from build.errors import BuildError, VersionTaken
from build.gates.order import GATES, configured, judge
from build.gates.protocol import Gate
from build.gates.verdict import SKIPPED
from build.git.conventional import warnings
from build.git.remote import configured_remote, tagged_commits
from build.images import export
from build.images.image import short
from build.images.plan import relabelled
from build.parallel import at_once
from build.registry import policy as registry_policy
from build.registry.client import RegistryClient
from build.registry.credentials import login
from build.release import candidates, claim, floats, plan, plan_file, preflight, publish, recovery, sign
from build.release.catalog import newest_images
from build.release.plan import Plan
from build.release.published import Published
from build.release.request import Request
from build.release.run import Options, Run
from build.release.world import examine, read_world
from build.steps import Skip, Step, Stop


def _resume(run: Run) -> Run:
    """Finish what an interrupted release began, before anything else: the next version builds on it."""
    known = run.published.all_known()
    interrupted = recovery.unfinished(run.published, known)
    for record in interrupted:
        console.note(f"finishing {record.tag}, claimed {record.created} and interrupted")
    if interrupted:
        steps.execute(FINISH, replace(run, records=tuple(interrupted)))
        known = run.published.all_known()
    moved = recovery.settle_floats(run.manifest, run.published, known, run.claims, audit=run.audit)
    proven = sign.put_back(run, known) if run.audit else []
    if not interrupted and not moved and not proven:
        raise Skip("nothing was interrupted")
    for line, moves in moved.items():
        console.note(f"{line}: {', '.join(move.name for move in moves)} was behind and is current again")
    behind = recovery.releases_behind(run.published, moved)
    return replace(run, finished=(*interrupted, *behind))


def _plan(run: Run) -> Run:
    saved, request = run.options.saved, run.options.request
    world, build_plan = read_world(run.manifest, run.published, run.claims, run.options.environment)
    due = plan.due(world, request)
    if saved is not None and not plan_file.carried_out(saved, world):
        plan_file.check_basis(saved, plan.basis(world))
    world = examine(world, run.published, due)
    if saved is not None:
        for details in world.details.values():
            plan_file.check_tags(saved, details.before)
    computed = plan.compute(world, request)
    if saved is not None and computed.lines:
        plan_file.check_equal(saved, computed)
    for warning in warnings(computed.near_misses):
        console.warn(warning)
    if not computed.lines:
        raise Stop(f"nothing to release: {computed.nothing}")
    for line in computed.lines:
        built = [planned.service for planned in line.services if planned.action == "build"]
        work = f"builds {', '.join(built)}" if built else "builds nothing: no image changed"
        console.note(f"{line.line} {line.previous or 'nothing'} → {line.version}; {work}")
    return replace(run, world=world, build_plan=build_plan, plan=computed)


def _preflight(run: Run) -> Run:
    assert run.plan is not None
    assert run.world is not None
    assert run.build_plan is not None
    tools = preflight.tools(run.manifest)
    preflight.check_tree(run.world.history, run.manifest.release)
    preflight.check_branch(run.world, run.remote)
    preflight.check_bases(run.manifest, run.plan, run.build_plan.bases)
    preflight.check_room(run.manifest)
    rules = preflight.check_rights(run.manifest, run.registry, run.plan, run.remote, run.world.pushed_branch)
    gates = [gate for gate in GATES if gate.name not in run.options.skip]
    if gates:
        login(run.manifest)  # the engine and Trivy fetch the candidates themselves
    preflight.check_gates(configured(run.manifest, run.options.skip), gates)
    return replace(run, tools=tools, signer=preflight.signer(run.manifest, rules))


def _build(run: Run) -> Run:
    assert run.world is not None
    assert run.build_plan is not None
    versions = {planned.service: line.version for line in run.lines for planned in line.services}
    build_plan = relabelled(run.build_plan, run.manifest, run.world.history, versions)
    changed = [planned.service for planned in run.services if planned.action == "build"]
    exports = export.export(run.manifest, build_plan, changed) if changed else {}
    # Bake reads the folders, not the commit. Only a second look shows that they did not change meanwhile.
    current = build_plan.current_fingerprints(versions)
    preflight.check_unchanged(run.manifest, run.world.history, run.fingerprints, current)
    if not changed:
        raise Skip("no image changed")
    return replace(run, exports=exports)


def _stage(run: Run) -> Run:
    candidates.note(run.manifest.workspace.staged, (each.image for each in run.exports.values()), datetime.now(UTC))
    staged = candidates.push(run.registry, run.exports)
    reused = at_once(partial(candidates.read_back, run.registry), run.reused)
    staged |= {candidate.image.service: candidate for candidate in reused}
    preflight.check_formats(run.manifest, {service: candidate.data for service, candidate in staged.items()})
    for planned in run.services:
        candidate = staged[planned.service]
        transfer = f"{_size(candidate.sent)} sent" if candidate.sent else planned.why
        console.note(f"{planned.service}@{short(candidate.image.digest)}: {transfer}")
    export.forget_exports(run.manifest.workspace)
    candidates.remember(run.manifest.workspace.candidates, staged)
    return replace(run, candidates=staged)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _gate(gate: Gate, run: Run) -> Run:
    """Show the candidates to the gate, unless it is skipped, and keep its verdict."""
    if gate.name in run.options.skip:
        console.warn(f"the {gate.name} gate is skipped; the release records that permanently")
        return replace(run, gates={**run.gates, gate.name: SKIPPED})
    try:
        verdict = judge(gate, run.manifest, run.images, partial(_released, run), run.options.skip)
    except BuildError:
        console.note(f"stopped by the {gate.name} gate: nothing was published")
        raise
    return replace(run, gates={**run.gates, gate.name: verdict})


def _released(run: Run) -> Mapping[str, str]:
    """The released images (service → name@digest) of the services that are not candidates."""
    assert run.world is not None
    excluded = [planned.service for planned in run.services]
    return newest_images(run.manifest, run.published, run.world.known, excluded=excluded)


def _claim(run: Run) -> Run:
    """Take the version: from here on it is ours, and only finishing is left."""
    assert run.plan is not None
    assert run.world is not None
    root = run.manifest.root
    commits = tagged_commits(root, run.remote)
    if lost := plan.lost(run.world, run.plan, commits):
        message = f"{'; '.join(lost)}: another release was made meanwhile; nothing of this one was published"
        raise VersionTaken(message, hint=claim.LOST_HINT)
    title, records = run.manifest.project.title, run.records
    claims = [
        claim.prepare(root, record, f"{title}: {record.line} {record.version}", run.proofs[record.tag])
        for record in records
    ]
    claim.push(root, run.remote, claims, branch=run.world.pushed_branch)
    for record in records:
        run.published.learn(record)
        console.note(f"{record.tag} is ours, on {run.remote or 'this repository'}")
    return run


def _publish(run: Run) -> Run:
    staged = run.staged()
    for record in run.records:
        with recovery.explained(record, "claimed and not published"):
            written = publish.images(run.registry, record, staged)
        console.note(f"{record.version}: {written} of {len(record.services)} tags written, all read back")
    return run


def _record(run: Run) -> Run:
    for record in run.records:
        with recovery.explained(record, "claimed and not recorded"):
            publish.record(run.registry, record)
        run.published.recorded(record)
        console.note(f"{record.repository}:{record.version}: the release is complete")
    return run


def _float(run: Run) -> Run:
    stable = [record for record in run.records if floats.names(record.parsed)]
    if not stable:
        raise Skip("a pre-release moves no float")
    policy = registry_policy.policy(run.manifest, run.registry)
    if policy.floats != "client":
        raise Skip(f"X.Y and X are not ours to move in {policy.address}: {policy.floats}")
    staged = run.staged()
    for record in stable:
        with recovery.explained(record, "complete, but its floats are not right"):
            moves = floats.move_floats(run.published, run.published.line(record), release=record, staged=staged)
        moved = ", ".join(f"{move.name} → {move.version}" for move in moves)
        console.note(f"{record.line}: {moved or 'every float is current'}")
    return run


FINISH: tuple[Step[Run], ...] = (
    Step("attach", "attach signatures and bills of materials", sign.attached),
    Step("publish", "publish the immutable tags", _publish),
    Step("record", "record the release", _record),
    Step("float", "move the floating tags", _float),
)
STEPS: tuple[Step[Run], ...] = (
    Step("resume", "finish what was interrupted", _resume),
    Step("plan", "plan", _plan),
    Step("preflight", "preflight", _preflight),
    Step("build", "build what changed", _build),
    Step("stage", "stage the candidates", _stage),
    *(Step(gate.name, gate.title, partial(_gate, gate)) for gate in GATES),
    Step("sign", "sign the release", sign.signed),
    Step("claim", "claim the version", _claim),
    *FINISH,
)


def make(manifest: Manifest, options: Options, *, resume_only: bool = False) -> Run:
    """Make a release, or with `resume_only` finish what was interrupted; the final state of the run.

    Raises ReleaseRefused, before anything is done, on a machine that may not release, and as the steps do.
    """
    authority = preflight.authority(manifest.release, options.environment, local=options.local)
    with RegistryClient(manifest) as registry:
        remote = configured_remote(manifest.root, manifest.release.remote)
        claims = claim.fetch_claims(manifest, remote)
        kept = candidates.kept(manifest.workspace.candidates)
        run = Run(
            manifest=manifest,
            options=options,
            registry=registry,
            authority=authority,
            remote=remote,
            claims=claims,
            published=Published(manifest, registry, claims, kept=kept, audit=resume_only),
            audit=resume_only,
        )
        return steps.execute(STEPS[:1] if resume_only else STEPS, run)


def preview(manifest: Manifest, request: Request, environment: Mapping[str, str]) -> Plan:
    """What a release would do now; nothing changes, except that the remote's tags are fetched.

    What is interrupted counts as complete, because the release would finish it first. Raises as planning does.
    """
    with RegistryClient(manifest) as registry:
        remote = configured_remote(manifest.root, manifest.release.remote)
        claims = claim.fetch_claims(manifest, remote)
        published = Published(manifest, registry, claims, kept=candidates.kept(manifest.workspace.candidates))
        unfinished = tuple(record.tag for record in recovery.unfinished(published, published.all_known()))
        world, _ = read_world(manifest, published, claims, environment)
        world = replace(world, known={name: known.finished() for name, known in world.known.items()})
        world = examine(world, published, plan.due(world, request))
        preflight.warn(world, remote)
        return plan.compute(world, request, unfinished=unfinished)
