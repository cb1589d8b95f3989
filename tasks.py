"""Every task that a person or a pipeline calls, as a table of contents: the work is done in build/.

Imports are inside the tasks, so that `./inv --list` costs little more than importing Invoke. The file is longer than
300 lines because a task is mostly its flags, its help and its examples, which users look for in one place.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from build.config.manifest import Manifest

ROOT = Path(__file__).resolve().parent
F = TypeVar("F", bound=Callable[..., None])

_SERVICE = {"service": "the name of a service; repeat it for more (default: all)"}
_JSON = {"json": "print the result as JSON"}
_DRY = {"dry_run": "print what would be done, and do nothing"}


def _manifest() -> Manifest:
    """The project's manifest with the overrides of the environment. Raises ManifestError."""
    from build.config.load import load

    return load(ROOT, os.environ)


def reports(body: F) -> F:
    """Exit with the message and code of a BuildError or an interrupt; any other exception is a bug and propagates.

    Invoke gets None as the default of every flag whose default is "", so that `--plan ""` differs from no flag at all:
    an empty value is refused, because it is nearly always a variable that was not set.
    """
    signature = inspect.signature(body)
    absent = {name: "" for name, parameter in signature.parameters.items() if parameter.default == ""}

    @functools.wraps(body)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from build import console, interrupts
        from build.errors import OUTPUT_CLOSED, BuildError

        try:
            values = {name: value if isinstance(value, list) else [value] for name, value in kwargs.items()}
            if empty := [name for name, given in values.items() if "" in given]:
                message = f"--{empty[0].replace('_', '-')} has an empty value"
                raise BuildError(message, hint="give it a value, or leave the flag out")
            with interrupts.as_interrupts():
                body(*args, **{name: absent.get(name) if value is None else value for name, value in kwargs.items()})
        except BuildError as error:
            console.error(str(error), hint=error.hint, output=error.output)
            raise Exit(code=error.exit_code) from None
        except KeyboardInterrupt as interrupt:
            by = f" by {interrupt}" if str(interrupt) else ""
            console.error(f"interrupted{by}", hint="run it again; finished work is reused")
            raise Exit(code=interrupts.exit_code(interrupt)) from None
        except BrokenPipeError:
            console.discard_output()
            raise Exit(code=OUTPUT_CLOSED) from None

    wrapped.__signature__ = signature.replace(parameters=[  # type: ignore[attr-defined]
        parameter.replace(default=None) if parameter.name in absent else parameter
        for parameter in signature.parameters.values()
    ])  # fmt: skip
    return cast("F", wrapped)


@task(help=_JSON | {"registry": "probe what the registry allows, in a scratch repository, and remember it"})
@reports
def doctor(_c: Context, *, registry: bool = False, json: bool = False) -> None:
    """Examine this machine: engine, registry, bases, Trivy, disk, ports; print a remedy for each failing row.

    Examples: ./inv doctor   |   ./inv doctor --json   |   ./inv doctor --registry
    """
    from build.machine import doctor
    from build.registry import policy
    from build.views import doctor as view
    from build.views import releases

    if registry:
        releases.policy(policy.probe(_manifest()), json=json)
    else:
        rows = doctor.examine(_manifest())
        view.report(rows, json=json)
        doctor.require(rows)


@task(help={"yes": "install without asking"} | _JSON)
@reports
def engine(_c: Context, *, yes: bool = False, json: bool = False) -> None:
    """Ensure that Docker Engine, buildx and Compose are installed and running; install them on Debian and Ubuntu.

    Examples: ./inv engine   |   ./inv engine --yes
    """
    from build import console
    from build.engine import install

    versions = install.ensure(_manifest().tools, os.environ, yes=yes, interactive=sys.stdin.isatty())
    console.result(versions) if json else console.table(("tool", "version"), list(versions.items()))


@task(help={"refresh": "resolve every base again, and make stand-ins anew"} | _JSON)
@reports
def bases(_c: Context, *, refresh: bool = False, json: bool = False) -> None:
    """Resolve every base image: upstream by digest, mirror, archive or stand-in; print the source of each.

    Examples: ./inv bases   |   UC_BASES_SOURCE=stand-in ./inv bases --refresh
    """
    from build.errors import BaseUnavailable
    from build.images import bases
    from build.views import tables

    manifest = _manifest()
    resolved, reasons = bases.resolve(manifest, manifest.bases.images, refresh=refresh)
    tables.bases(resolved, reasons, json=json)
    if reasons:
        message = f"no source has {', '.join(reasons)}"
        raise BaseUnavailable(message, hint="[bases] mirror or archives in versions.local.toml")


@task(
    iterable=["service"],
    name="build",
    help=_SERVICE | _JSON | _DRY | {
        "no_cache": "rebuild every step",
        "push": "push to the registry as well",
        "progress": "auto, plain (buildx's own log) or quiet",
        "print": "print the bake definition and stop",
    },
)  # fmt: skip
@reports
def build_(
    _c: Context, *, service: list[str], no_cache: bool = False, push: bool = False, progress: str = "auto",
    print: bool = False, json: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Build the images of all services in one bake invocation; print their digests and record them in .uc/.

    Examples: ./inv build   |   ./inv build --service docs-server --progress plain   |   ./inv build --push
    """
    from build import console
    from build.images import bake_file, build
    from build.views import tables

    manifest = _manifest()
    if print or dry_run:
        console.result(bake_file.literal(build.preview(manifest, service)))
        return
    built = build.build_images(manifest, service, push=push, no_cache=no_cache, progress=progress)
    tables.built(built, json=json)
    build.require_complete(built)


@task(iterable=["service"], help=_SERVICE | _JSON | _DRY)
@reports
def scan(_c: Context, *, service: list[str], json: bool = False, dry_run: bool = False) -> None:
    """Scan the built digests with Trivy; exit 5 for findings at the severity gate, 8 if the scan could not run.

    Examples: ./inv scan   |   UC_GATES_SEVERITY=CRITICAL ./inv scan --service docs-server
    """
    from build.gates.scan import gate
    from build.images import store
    from build.views import gates

    manifest = _manifest()
    images = store.present_images(manifest, service)
    if dry_run:
        gates.planned_scan(images)
    else:
        verdicts = gate.scan(manifest, images)
        gates.scan(verdicts, json=json)
        gate.enforce(verdicts)


@task(iterable=["service"], help=_SERVICE | _JSON | _DRY | {
    "fluentd": "send logs to Fluentd (FLUENTD_ADDRESS)",
    "release": "a release instead of the images built here: 1.4.0, or the one that 1.4 or 1 names",
    "take_over": "although the stack belongs to another checkout of the project",
})  # fmt: skip
@reports
def up(
    _c: Context, *, service: list[str], release: str = "", fluentd: bool = False, take_over: bool = False,
    json: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Start the stack by digest, from the images built here or a release, and wait until all containers are healthy.

    Examples: ./inv up   |   ./inv up --service docs-server   |   ./inv up --release 1.4   |   ./inv up --fluentd
    """
    from build.deploy import compose as deploy
    from build.views import tables

    manifest = _manifest()
    if dry_run:
        tables.planned_start(manifest, service, release=release)
    else:
        started = deploy.start(manifest, service, release=release, fluentd=fluentd, take_over=take_over)
        tables.running(started, json=json)


@task(help=_DRY | {"volumes": "remove the data too"})
@reports
def down(_c: Context, *, volumes: bool = False, dry_run: bool = False) -> None:
    """Stop and remove the stack; data stays unless --volumes.

    Examples: ./inv down   |   ./inv down --volumes
    """
    from build import console
    from build.stack import run, status

    manifest = _manifest()
    if dry_run:
        names = [container.name for container in status.containers(manifest)]
        console.text(f"would remove: {', '.join(names) or 'nothing'}{', and every volume' if volumes else ''}")
    else:
        removed = "stack removed" if run.down(manifest, volumes=volumes) else "nothing was running"
        console.note(removed + (", volumes removed" if volumes else ""))


@task(help=_JSON)
@reports
def ps(_c: Context, *, json: bool = False) -> None:
    """Print the containers of the stack: state, health, digest, URL.

    Examples: ./inv ps   |   ./inv ps --json
    """
    from build.stack import status
    from build.views import tables

    tables.running(status.containers(_manifest()), json=json)


@task(iterable=["container"], help={
    "container": "the name of a container; repeat it for more (default: all)",
    "follow": "keep printing new lines", "tail": "number of lines to start with, of each container",
})  # fmt: skip
@reports
def logs(_c: Context, *, container: list[str], follow: bool = False, tail: str = "200") -> None:
    """Print the logs of all containers of the stack, or of the named ones.

    Examples: ./inv logs   |   ./inv logs --container monitoring --follow
    """
    from build.stack import run

    run.logs(_manifest(), container, follow=follow, tail=tail)


@task(iterable=["service"], help=_SERVICE)
@reports
def watch(_c: Context, *, service: list[str]) -> None:
    """Rebuild and restart a service whenever its folder or its sources change, until Ctrl-C.

    Examples: ./inv watch   |   ./inv watch --service docs-server
    """
    from build.config.select import chosen
    from build.machine import watch

    manifest = _manifest()
    watch.run(manifest, chosen(manifest, service))


@task(iterable=["service"], help=_SERVICE | _JSON | _DRY)
@reports
def smoke(_c: Context, *, service: list[str], json: bool = False, dry_run: bool = False) -> None:
    """Send real requests to the running stack, and take one journey across its services; exit 6 on failure.

    Examples: ./inv smoke   |   ./inv smoke --service langgraph-api   |   nox -s smoke (up, smoke, down)
    """
    from build.gates.smoke import gate
    from build.views import gates

    manifest = _manifest()
    if dry_run:
        gates.planned_checks(manifest, service)
    else:
        results = gate.check(manifest, service)
        gates.smoke(results, json=json)
        gate.enforce(manifest, results)


@task(help=_DRY | {"json": "print the closing table as JSON"})
@reports
def quickstart(_c: Context, *, json: bool = False, dry_run: bool = False) -> None:
    """Turn a fresh machine into a built, scanned, running and smoke-tested stack; a second run is quick.

    Examples: ./inv quickstart
    """
    from build.machine import quickstart

    quickstart.run(_manifest(), json=json, dry_run=dry_run)


@task(help={"check": "only check whether the committed files are current"})
@reports
def compose(_c: Context, *, check: bool = False) -> None:
    """Write docker/compose.yaml and its Fluentd overlay from versions.toml.

    Examples: ./inv compose   |   ./inv compose --check
    """
    from build.stack import compose

    compose.write_reference_files(ROOT, check=check)


@task(help=_JSON)
@reports
def version(_c: Context, *, json: bool = False) -> None:
    """Print the version of the checked-out commit, and the next one for each bump: auto (and why), patch, minor, major.

    Examples: ./inv version   |   ./inv version --json
    """
    from build.git import next_versions
    from build.views import versions

    manifest = _manifest()
    history, lines = next_versions.read(manifest)
    versions.versions(manifest, history, lines, json=json)


@task(help=_JSON | {
    "write": "write it to CHANGELOG.md; edits made there by hand stay",
    "version": "only this one: 1.4.0, or api/1.4.0; if not released yet, the unreleased changes under that name",
})  # fmt: skip
@reports
def changelog(_c: Context, *, write: bool = False, version: str = "", json: bool = False) -> None:
    """Print the changes of each release and the unreleased ones, as Keep a Changelog, from Conventional Commits.

    Examples: ./inv changelog   |   ./inv changelog --version 1.5.0   |   ./inv changelog --write
    """
    from build.git import releases
    from build.views import changelog

    manifest = _manifest()
    sections = releases.sections(manifest, version=version)
    if write:
        changelog.written(changed=releases.write(manifest, sections))
    if json or not write:
        changelog.sections(manifest, sections, json=json)


@task(name="check", help=_JSON | {
    "range": "a revision range, as for git log: v1.4.0.. (default: after [release] conventional_since)",
    "message": "check the message in this file instead, as a commit-msg hook does",
})  # fmt: skip
@reports
def commits_check(_c: Context, *, range: str = "", message: str = "", json: bool = False) -> None:
    """Check that commit messages are Conventional Commits, from which the next version is computed.

    Examples: ./inv commits.check   |   ./inv commits.check --range origin/main..HEAD
    """
    from build.git import conventional
    from build.views import commits

    manifest = _manifest()
    checked = (
        conventional.check_file(ROOT, manifest.release, Path(message))
        if message
        else conventional.check(ROOT, manifest.release, range)
    )
    commits.checked(checked, json=json)
    conventional.require(checked, manifest.release)


@task(iterable=["service", "skip"], help=_JSON | {
    "bump": "auto (by the commits), patch, minor or major",
    "pre": "a pre-release channel: rc makes 1.5.0-rc.1, then -rc.2; without it, 1.5.0",
    "version": "this version instead of a computed one",
    "service": "in independent mode: only this service's line; repeat it for more",
    "dry_run": "print the plan and do nothing",
    "plan": "write the plan to this file and do nothing",
    "apply": "carry out the plan in this file; refused if anything changed since",
    "resume": "only finish interrupted releases, and check every floating tag",
    "skip": "skip this gate; recorded permanently; repeat it for more",
    "skip_scan": "--skip scan",
    "skip_smoke": "--skip smoke",
    "local": "release from this machine although only CI may; recorded permanently",
})  # fmt: skip
@reports
def release(
    _c: Context, *, service: list[str], bump: str = "auto", pre: str = "", version: str = "", dry_run: bool = False,
    plan: str = "", apply: str = "", resume: bool = False, skip_scan: bool = False, skip_smoke: bool = False,
    local: bool = False, json: bool = False, skip: list[str],
) -> None:  # fmt: skip
    """Build what changed, pass the gates, claim the version in git, publish X.Y.Z, then move X.Y and X.

    Examples: ./inv release --bump minor   |   ./inv release --dry-run   |   ./inv release --plan plan.json
    """
    from build.release import command
    from build.views import releases

    if dry_run or plan:
        planned = command.preview(
            _manifest(), bump=bump, pre=pre, version=version, services=service, apply=apply, resume=resume,
            environment=os.environ,
        )  # fmt: skip
        releases.plan(planned, file=plan, json=json)
    else:
        done = command.make(
            _manifest(), bump=bump, pre=pre, version=version, services=service, local=local, apply=apply, resume=resume,
            skip=[*skip, *["scan"] * skip_scan, *["smoke"] * skip_smoke], environment=os.environ,
        )  # fmt: skip
        releases.released(done, json=json)


@task(help=_JSON)
@reports
def releases(_c: Context, *, json: bool = False) -> None:
    """Print the releases: version, date, commit, state, skipped gates.

    Examples: ./inv releases   |   ./inv releases --json
    """
    from build.release import catalog
    from build.views import releases

    releases.releases(catalog.all_of(_manifest()), json=json)


@task(positional=["version"], help=_JSON | _DRY | {
    "version": "the version to withdraw, or gone: every release that the registry has lost",
    "reason": "why; recorded permanently",
    "service": "in independent mode: the service whose version it is",
})  # fmt: skip
@reports
def yank(
    _c: Context, version: str, *, reason: str = "", service: str = "", json: bool = False, dry_run: bool = False
) -> None:
    """Withdraw a release: floating tags move to the best remaining one, deployments refuse it, its X.Y.Z tag stays.

    Examples: ./inv yank 1.4.0 --reason "loses events on restart"   |   ./inv yank gone --reason "registry emptied"
    """
    from build.release.yank import yank as withdraw
    from build.views import releases

    done = withdraw(_manifest(), version, reason, service=service, dry_run=dry_run)
    releases.yanked(done, json=json, dry_run=dry_run)


@task(iterable=["session"], help={"session": "a nox session; repeat it for more (default: all)"})
@reports
def test(_c: Context, *, session: list[str]) -> None:
    """Prepare the machine and run the nox sessions: lint, types, coverage, setup, services, docker and so on.

    Examples: ./inv test   |   ./inv test --session unit --session docker
    """
    from build.machine import checks

    checks.run_tests(_manifest(), session)


@task(name="up", help=_DRY)
@reports
def registry_up(_c: Context, *, dry_run: bool = False) -> None:
    """Start the embedded registry on loopback; its storage is a named volume.

    Examples: ./inv registry.up
    """
    from build.machine import prepare

    prepare.registry(_manifest(), dry_run=dry_run)


@task(name="down", help=_DRY | {"volumes": "remove its storage too"})
@reports
def registry_down(_c: Context, *, volumes: bool = False, dry_run: bool = False) -> None:
    """Stop the embedded registry; its storage stays unless --volumes.

    Examples: ./inv registry.down   |   ./inv registry.down --volumes
    """
    from build import console
    from build.registry import embedded

    manifest = _manifest()
    if dry_run:
        console.text(f"would remove {embedded.container(manifest)}{' and its volume' if volumes else ''}")
    else:
        console.note("registry removed" if embedded.down(manifest, volumes=volumes) else "no registry was running")


@task(name="ls", help=_JSON)
@reports
def registry_ls(_c: Context, *, json: bool = False) -> None:
    """Print the repositories and tags of the registry.

    Examples: ./inv registry.ls   |   ./inv registry.ls --json
    """
    from build import console
    from build.registry import client

    contents = client.contents(_manifest())
    if json:
        console.result(contents)
    else:
        console.table(("repository", "tags"), [(name, ", ".join(tags)) for name, tags in contents.items()])


@task(name="init", help=_JSON | _DRY)
@reports
def secrets_init(_c: Context, *, json: bool = False, dry_run: bool = False) -> None:
    """Create the missing runtime secret files; existing ones are never overwritten.

    Examples: ./inv secrets.init
    """
    from build import console
    from build.stack import secrets

    manifest = _manifest()
    if dry_run:
        console.text(f"would create the missing ones of: {', '.join(manifest.secrets)}")
        return
    outcome = secrets.initialise(manifest)
    console.result(outcome) if json else console.table(("secret", "file"), list(outcome.items()))


@task(name="rotate", help={"name": "the secret to renew", "finish": "refuse the old value from now on"} | _DRY)
@reports
def secrets_rotate(_c: Context, *, name: str = "", finish: bool = False, dry_run: bool = False) -> None:
    """Put a new value in front of a secret, in place; the old one, on the second line, stays valid until --finish.

    Examples: ./inv secrets.rotate --name mcp_token   |   ./inv secrets.rotate --name mcp_token --finish
    """
    from build import console
    from build.stack import secrets

    manifest = _manifest()
    if dry_run:
        console.text(f"would {'end the overlap of' if finish else 'renew'} {manifest.workspace.secrets / name}")
    elif finish:
        ended = secrets.finish(manifest, name)
        console.note(f"{name}: the old value is refused from now on" if ended else f"{name} has no old value")
    else:
        secrets.rotate(manifest, name)
        console.note(f"{name} renewed; the old value is still accepted")


ns = Collection(
    doctor, engine, bases, build_, scan, up, down, ps, logs, watch, smoke, quickstart, compose, version, changelog,
    release, releases, yank, test,
)  # fmt: skip
ns.add_collection(Collection("commits", commits_check))
ns.add_collection(Collection("registry", registry_up, registry_down, registry_ls))
ns.add_collection(Collection("secrets", secrets_init, secrets_rotate))
