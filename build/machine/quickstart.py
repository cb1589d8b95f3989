"""From a fresh machine to a smoke-tested stack: the steps in order are the tuple STEPS."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from build import console, steps
from build.config.load import load
from build.config.manifest import Manifest
from build.deploy import workflow
from build.errors import BuildError, Incomplete, ManifestError, ScanBroken, ScanRejected
from build.images import bases, build
from build.images.build import Built
from build.process import run as run_process
from build.registry import embedded
from build.registry.client import answers, ping
from build.stack import compose, secrets
from build.steps import Skip, Step, Stop
from build.views import tables

TEST_SESSIONS = ("lint", "types", "unit", "git", "setup", "services", "docker", "release", "fault", "stack", "smoke")
NEXT_STEPS = """\
next:
  ./inv ps                      what runs, and where
  ./inv logs -f -c monitoring   follow a container
  ./inv smoke                   ask all of it again        (./inv down stops it)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the steps have found so far; `problems` are failures that did not stop the rest."""

    manifest: Manifest
    built: Built = field(default_factory=lambda: Built(version="", images={}, missing={}))
    scans: dict[str, str] = field(default_factory=dict)
    smokes: dict[str, str] = field(default_factory=dict)
    problems: tuple[BuildError, ...] = ()


def ensure_engine(manifest: Manifest, *, yes: bool) -> dict[str, str]:
    """The versions of a working engine, buildx and Compose, installed first where that is allowed."""
    from build.engine import install

    consent = yes or os.environ.get("CI", "").lower() == "true"
    return install.ensure(manifest.tools, yes=consent, interactive=sys.stdin.isatty())


def _engine(run: Run) -> Run:
    found = ensure_engine(run.manifest, yes=True)
    console.note(", ".join(f"{name} {version}" for name, version in found.items()))
    return run


def start_registry(manifest: Manifest, *, dry_run: bool = False) -> None:
    """Start the embedded registry and say what was done."""
    if dry_run:
        console.text(f"would serve {manifest.registry.address} from container {embedded.container(manifest)}")
        return
    image, reason = "", ""
    if not answers(manifest):
        found, reasons = bases.resolve(manifest, ["registry"])
        image = found["registry"].image if "registry" in found else ""
        reason = reasons.get("registry", "")
    console.note(f"registry {manifest.registry.address}: {embedded.up(manifest, image, reason)}")


def resolve_bases(manifest: Manifest) -> None:
    """Resolve every base image and say where each comes from; one that can't be had is a warning."""
    found, reasons = bases.resolve(manifest, manifest.bases.images)
    for base in found.values():
        console.note(f"{base.reference}: {base.source}")
    for key, reason in reasons.items():
        console.warn(f"{manifest.bases.images[key].reference} can't be had: {reason}")


def _bases(run: Run) -> Run:
    resolve_bases(run.manifest)
    return run


def _registry(run: Run) -> Run:
    if not run.manifest.registry.embedded:
        ping(run.manifest)
        raise Skip(f"{run.manifest.registry.address} is not embedded, and answers")
    start_registry(run.manifest)
    return run


def _build(run: Run) -> Run:
    return replace(run, built=build.build_images(run.manifest, push=True))


def _scan(run: Run) -> Run:
    from build.gates.scan import gate

    if not run.built.images:  # no names would mean all of them: those of an earlier build
        raise Stop("no service could be built: nothing is scanned, started or asked")
    try:
        verdicts = workflow.run_scan(run.manifest, list(run.built.images))
        scans = {verdict.service: gate.summary(verdict) for verdict in verdicts}
        for name, said in scans.items():
            console.note(f"{name}: {said}")
        gate.enforce(verdicts)
    except ScanBroken as error:
        return replace(run, problems=(*run.problems, error), scans=dict.fromkeys(run.built.images, "could not scan"))
    except ScanRejected as error:
        return replace(run, problems=(*run.problems, error), scans=scans)
    return replace(run, scans=scans)


def _secrets(run: Run) -> Run:
    made = [name for name, outcome in secrets.initialise(run.manifest).items() if outcome == "made"]
    if not made:
        raise Skip("every secret file is there")
    console.note(f"made {', '.join(made)} in {run.manifest.workspace.secrets}")
    return run


def _up(run: Run) -> Run:
    for one in workflow.start(run.manifest, list(run.built.images)):
        console.note(f"{one.name}: {one.health or one.state}, {one.url}")
    return run


def _smoke(run: Run) -> Run:
    results = workflow.run_smoke(run.manifest)
    present = [one for one in results if one.service in run.built.images or one.service == "story"]
    for one in present:
        console.note(f"{one.container}: {one.check}  {one.reason}", kind="ok" if one.passed else "fail")
    smokes = {}
    for name in run.built.images:
        failed = [one.check for one in present if one.service == name and not one.passed]
        smokes[name] = f"failed: {', '.join(failed)}" if failed else "passed"
    try:
        workflow.require_smoke(run.manifest, present)
    except BuildError as error:
        return replace(run, smokes=smokes, problems=(*run.problems, error))
    return replace(run, smokes=smokes)


STEPS: tuple[Step[Run], ...] = (
    Step("engine", "engine, buildx and Compose", _engine),
    Step("bases", "base images", _bases),
    Step("registry", "private registry", _registry),
    Step("build", "build and push all images", _build),
    Step("scan", "scan what was pushed", _scan),
    Step("secrets", "runtime secrets", _secrets),
    Step("up", "start the stack", _up),
    Step("smoke", "smoke checks", _smoke),
)


def run(manifest: Manifest, *, as_json: bool = False, dry_run: bool = False) -> None:
    """Run STEPS and show the closing table; what could not be had is named, and the exit code says so.

    Raises the first problem that did not stop the run (a refused scan, a failed check), or Incomplete.
    """
    if dry_run:
        titles = [step.title for step in STEPS]
        if as_json:
            console.result({"steps": titles})
        else:
            console.table(("step",), [(title,) for title in titles], title="would do, in this order:")
        return
    done = steps.execute(STEPS, Run(manifest=manifest))
    tables.quickstart(manifest, done.built, done.scans, done.smokes, json=as_json)
    if done.built.images and not as_json:
        console.text(NEXT_STEPS)
    for problem in done.problems[1:]:
        console.error(str(problem), hint=problem.hint)
    if done.problems:
        raise done.problems[0]
    build.require_complete(done.built)


def write_compose(root: Path, *, check: bool) -> None:
    """Write the committed Compose files, or with `check` raise ManifestError when one is stale."""
    wanted = compose.reference_files(load(root, {}, local=False))
    stale = [name for name, text in wanted.items() if _content(root / name) != text]
    if check and stale:
        raise ManifestError(f"not what versions.toml says: {', '.join(stale)}", hint="./inv compose")
    for name in stale:
        (root / name).write_text(wanted[name], encoding="utf-8", newline="\n")
        console.note(f"wrote {name}")
    if not stale:
        console.note("docker/compose.yaml and its overlay are current")


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def run_tests(manifest: Manifest, sessions: Sequence[str]) -> None:
    """Make the engine and bases ready where the sessions need them, then run the nox sessions.

    Raises Incomplete when a session fails; its own output says why.
    """
    sessions = sessions or TEST_SESSIONS
    if {"docker", "release", "fault", "stack", "smoke", "bench"} & set(sessions):
        ensure_engine(manifest, yes=False)
        resolve_bases(manifest)  # here, where no test's time limit runs
    argv = [sys.executable, "-m", "nox", "--noxfile", str(manifest.root / "noxfile.py"), "--sessions", *sessions]
    outcome = run_process(argv, cwd=manifest.root, capture=False, ok_codes=range(256))
    if outcome.returncode:
        raise Incomplete(
            f"nox: a session failed (exit code {outcome.returncode})", hint="./inv test --session NAME runs one again"
        )
