"""A release is one transaction over git and the registry. Read STEPS first, at the foot: they run in that order.

Before `_claim` nothing is public: candidates have digests that nobody names. After it each step is idempotent and needs
only the record that the git tag carries, so FINISH completes a release from any clone, whatever machine began it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

from build import console, steps
from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import VersionTaken
from build.gates import gates
from build.gates.verdict import GateVerdict
from build.git.remote import configured_remote, remote_tags
from build.images import export
from build.images.plan import relabelled
from build.parallel import at_once
from build.registry import policy as registry_policy
from build.registry.client import Distribution
from build.registry.credentials import login
from build.registry.oci import Stored
from build.release import candidates, claim, floats, plan, plan_file, preflight, publish, rerun, survey
from build.release import run as release_run
from build.release.plan import Plan
from build.release.request import Wish
from build.release.run import Options, Run
from build.steps import Skip, Step, Stop

SKIPPED = GateVerdict(verdict="skipped")


def _resume(run: Run) -> Run:
    """Finish what a killed release began, before anything else: the next version builds on it."""
    claimed = survey.claims(run.manifest, run.remote)
    unfinished = survey.unfinished(run.manifest, run.registry, claimed)
    for record in unfinished:
        console.note(f"finishing {record.tag}, claimed {record.created} and interrupted")
    done = steps.execute(FINISH, replace(run, records=tuple(unfinished))) if unfinished else run
    settled = survey.settle(run.manifest, run.registry, claimed, audit=run.audit)
    if not unfinished and not settled:
        raise Skip("nothing was interrupted")
    for line, moves in settled.items():
        console.note(f"{line}: {', '.join(move.name for move in moves)} was behind, and is right now")
    behind = survey.behind(run.manifest, run.registry, settled)
    return replace(done, records=(), finished=(*unfinished, *behind))


def _plan(run: Run) -> Run:
    saved = run.options.saved
    world, build_plan = survey.look(run.manifest, run.registry, run.remote, run.options.environment)
    done = rerun.done(world, run.options.wish, run.finished, saved=saved)
    if saved is not None and not done:
        plan_file.check(saved, plan.fingerprint(world))
        plan_file.check_tags(saved, run.registry)
    made = saved if saved is not None and not done else plan.compute(world, run.options.wish, done=done)
    if not made.lines:
        raise Stop(f"nothing to release: {made.nothing}")
    for line in made.lines:
        built = [one.service for one in line.services if one.action == "build"]
        said = f"builds {', '.join(built)}" if built else "builds nothing: no image changed"
        console.note(f"{line.line} {line.previous or 'nothing'} → {line.version}; {said}")
    return replace(run, world=world, build_plan=build_plan, plan=made)


def _preflight(run: Run) -> Run:
    assert run.plan is not None
    assert run.world is not None
    assert run.build_plan is not None
    docker.require(run.manifest.tools)
    preflight.check_tree(run.world.history, run.manifest.release)
    preflight.check_bases(run.manifest, run.plan, run.build_plan.bases)
    preflight.check_room(run.manifest)
    preflight.check_rights(run.manifest, run.registry, run.plan, run.remote, _pushed_branch(run))
    if {"scan", "smoke"} - run.options.skip:
        login(run.manifest)  # the engine and Trivy fetch the candidates themselves
    preflight.check_database(run.manifest, run.options.skip)
    return run


def _build(run: Run) -> Run:
    assert run.world is not None
    assert run.build_plan is not None
    versions = {one.service: line.version for line in run.lines for one in line.services}
    build_plan = relabelled(run.build_plan, run.manifest, run.world.history, versions)
    wanted = [one.service for one in run.services if one.action == "build"]
    exports = export.export(run.manifest, build_plan, wanted) if wanted else {}
    # Bake reads the folders, not the commit: only looking again tells that they were one all the while.
    now = build_plan.current_fingerprints(versions)
    preflight.check_still(run.manifest, run.world.history, {one.service: one.fingerprint for one in run.services}, now)
    if not wanted:
        raise Skip("no image changed")
    return replace(run, exports=exports)


def _stage(run: Run) -> Run:
    found = candidates.push(run.registry, run.exports)
    read = at_once(functools.partial(candidates.read_back, run.registry), run.reused())
    found |= {one.image.service: one for one in read}
    for line in run.lines:
        for one in line.services:
            sent = found[one.service].sent
            console.note(f"{one.service}@{found[one.service].image.digest[:19]}: {_sent(sent) if sent else one.why}")
    export.forget_exports(run.manifest.workspace)
    run = replace(run, candidates=found)
    candidates.keep(run.manifest.workspace.candidates, found)
    return run


def _sent(size: int) -> str:
    return f"{size / 1e6:.1f} MB sent" if size >= 100_000 else f"{size / 1e3:.1f} kB sent"


def _scan(run: Run) -> Run:
    if "scan" in run.options.skip:
        console.warn("the scan is skipped, and the release will say so")
        return replace(run, gates={**run.gates, "scan": SKIPPED})
    return replace(run, gates={**run.gates, "scan": gates.scan(run.manifest, run.images())})


def _smoke(run: Run) -> Run:
    if "smoke" in run.options.skip:
        console.warn("the smoke checks are skipped, and the release will say so")
        return replace(run, gates={**run.gates, "smoke": SKIPPED})
    assert run.world is not None
    beside = survey.released_images(run.manifest, run.world, [one.service for one in run.services])
    return replace(run, gates={**run.gates, "smoke": gates.ask(run.manifest, run.images(), beside)})


def _claim(run: Run) -> Run:
    """Take the version: from here on it is ours, and only finishing is left."""
    assert run.plan is not None
    assert run.world is not None
    root = run.manifest.root
    now = replace(run.world, remote_tags=remote_tags(root, run.remote))
    if gone := plan.lost(now, run.plan):
        message = f"{', '.join(gone)}: another release was made meanwhile; nothing of this one was published"
        raise VersionTaken(message, hint="./inv release again: it takes the next version")
    records = release_run.records_of(run)
    claims = [claim.prepare(root, one, f"{run.manifest.project.title}: {one.line} {one.version}") for one in records]
    claim.push(root, run.remote, claims, branch=_pushed_branch(run))
    for one in records:
        console.note(f"{one.tag} is ours, on {run.remote or 'this repository'}")
    return replace(run, records=records)


def _pushed_branch(run: Run) -> str:
    assert run.world is not None
    return (run.world.history.branch or "") if run.manifest.release.push_branch else ""


def _staged(run: Run) -> dict[str, Stored]:
    """The manifests that need not be fetched: of this run, else of the last one here."""
    kept = candidates.kept(run.manifest.workspace.candidates)
    return kept | {name: one.stored for name, one in run.candidates.items()}


def _publish(run: Run) -> Run:
    staged = _staged(run)
    for one in run.records:
        with survey.explained(one, "claimed and not published"):
            put = publish.images(run.registry, one, staged)
        console.note(f"{one.version}: {put} of {len(one.services)} tags put, all read back")
    return run


def _record(run: Run) -> Run:
    for one in run.records:
        with survey.explained(one, "claimed and not recorded"):
            publish.record(run.registry, one)
        console.note(f"{one.repository}:{one.version}: the release is complete")
    return run


def _float(run: Run) -> Run:
    moving = [one for one in run.records if floats.names(one.parsed)]
    if not moving:
        raise Skip("a pre-release moves no float")
    policy = registry_policy.policy(run.manifest, run.registry)
    if policy.floats != "client":
        raise Skip(f"X.Y and X are not ours to move in {policy.address}: {policy.floats}")
    staged = _staged(run)
    for one in moving:
        with survey.explained(one, "complete, but its floats are not right"):
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
    Step("scan", "scan the candidates", _scan),
    Step("smoke", "smoke-test the candidates", _smoke),
    Step("claim", "claim the version", _claim),
    *FINISH,
)


def make(manifest: Manifest, options: Options, *, resume_only: bool = False) -> Run:
    """Make a release, or with `resume_only` finish what was interrupted; the last state of the run.

    Raises ReleaseRefused before anything is done where this machine may not release, and each step's own errors.
    """
    who = preflight.authority(manifest.release, options.environment, local=options.local)
    with Distribution(manifest) as registry:
        remote = configured_remote(manifest.root, manifest.release.remote)
        run = Run(
            manifest=manifest, options=options, registry=registry, authority=who, remote=remote, audit=resume_only
        )
        return steps.execute(STEPS[:1] if resume_only else STEPS, run)


def preview(manifest: Manifest, wish: Wish, environment: Mapping[str, str]) -> Plan:
    """What a release would do now; nothing is changed, but the remote's tags are fetched. Raises as planning does."""
    with Distribution(manifest) as registry:
        remote = configured_remote(manifest.root, manifest.release.remote)
        claimed = survey.claims(manifest, remote)
        waiting = tuple(one.tag for one in survey.unfinished(manifest, registry, claimed))
        world, _ = survey.look(manifest, registry, remote, environment)
        return plan.compute(world, wish, unfinished=waiting)
