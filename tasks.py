"""Every task that a person or a pipeline calls, as a table of contents: the work is done in build/.

Imports are inside the tasks, so that `./inv --list` costs little more than importing Invoke. The file is longer than
300 lines because a task is mostly its flags, its help and its examples, which users look for in one place.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from build.program.task import group, task

if TYPE_CHECKING:
    from build.config.manifest import Manifest

ROOT = Path(__file__).resolve().parent

_SERVICE = {"service": "only this service; a,b or repeated for more (default: all)"}
_JSON = {"json": "print the result as JSON"}
_TARGET = {"target": "the deploy target; needed where several are configured"}
_ACCEPT = {"accept_data_loss": "the name of a volume whose data the release can't read; repeated for more"}
_DRY = {"dry_run": "print what would be done, and do nothing"}


def _manifest(**overrides: str) -> Manifest:
    """The project's manifest with the overrides of the environment, and more of them. Raises ManifestError."""
    from build.config.load import load

    return load(ROOT, {**os.environ, **overrides})


@task(help=_JSON | {"registry": "probe what the registry allows, in a scratch repository, and remember it"})
def doctor(_c: Context, *, registry: bool = False, json: bool = False) -> None:
    """Examine this machine, and print what fixes it.

    Engine, registry, bases, Trivy, disk and ports each get a row; a failing row has a remedy.

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
def engine(_c: Context, *, yes: bool = False, json: bool = False) -> None:
    """Install and start Docker Engine, buildx and Compose.

    Nothing is done where they are there already; they are installed on Debian and Ubuntu only.

    Examples: ./inv engine   |   ./inv engine --yes
    """
    from build import console
    from build.engine import install

    versions = install.ensure(_manifest().tools, os.environ, yes=yes, interactive=sys.stdin.isatty())
    console.result(versions) if json else console.table(("tool", "version"), list(versions.items()))


@task(help={"refresh": "resolve every base again, and make stand-ins anew"} | _JSON)
def bases(_c: Context, *, refresh: bool = False, json: bool = False) -> None:
    """Resolve the base images, and print their sources.

    Upstream by digest, a mirror, an archive, or a stand-in.

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


@task(help=_JSON)
def sources(_c: Context, *, json: bool = False) -> None:
    """Look at your own folders before a build.

    Modules, graphs, roles and pages that won't work, requirements that conflict, secrets that are left out, sizes.

    Examples: ./inv sources   |   ./inv sources --json
    """
    from build.sources import examine
    from build.views import sources as view

    manifest = _manifest()
    examined = examine.examine(manifest)
    view.report(manifest, examined, json=json)
    examine.require(examined)


@task(
    bare="service", iterable=["service"],
    name="build",
    help=_SERVICE | _JSON | _DRY | {
        "no_cache": "rebuild every step",
        "push": "push to the registry as well",
        "progress": "auto, plain (buildx's own log) or quiet",
        "print": "print the bake definition and stop",
    },
)  # fmt: skip
def build_(
    _c: Context, *, service: list[str], no_cache: bool = False, push: bool = False, progress: str = "auto",
    print: bool = False, json: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Build the images of the services.

    All in one bake invocation; their digests are printed and recorded in .uc/.

    Examples: ./inv build   |   ./inv build docs-server --progress plain   |   ./inv build --push
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


@task(bare="service", iterable=["service"], help=_SERVICE | _JSON | _DRY | {
    "release": "a release instead of the images built here: 1.4.0, the one that 1.4 or 1 names, or newest",
})  # fmt: skip
def scan(
    _c: Context, *, service: list[str], release: str = "", json: bool = False, dry_run: bool = False
) -> None:  # fmt: skip
    """Scan the built images with Trivy.

    Or those of a release. Exit code 5 for findings at the severity gate, 8 if the scan could not run.

    Examples: ./inv scan   |   UC_GATES_SEVERITY=CRITICAL ./inv scan docs-server   |   ./inv scan --release newest
    """
    from build.deploy import rescan
    from build.gates.scan import gate
    from build.images import store
    from build.views import gates

    manifest = _manifest()
    images = rescan.images(manifest, service, release=release) if release else store.present_images(manifest, service)
    if dry_run:
        gates.planned_scan(images)
    else:
        verdicts = gate.scan(manifest, images, needed=bool(release), bill=not release)
        gates.scan(verdicts, json=json)
        gate.enforce(verdicts)


@task(bare="service", iterable=["service"], help=_SERVICE | _JSON | _DRY | {
    "fluentd": "send logs to Fluentd (FLUENTD_ADDRESS)",
    "release": "a release instead of the images built here: 1.4.0, or the one that 1.4 or 1 names",
    "take_over": "although the stack belongs to another checkout of the project",
})  # fmt: skip
def up(
    _c: Context, *, service: list[str], release: str = "", fluentd: bool = False, take_over: bool = False,
    json: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Start the stack, and wait until it is healthy.

    By digest, from the images built here or from a release.

    Examples: ./inv up   |   ./inv up docs-server   |   ./inv up --release 1.4   |   ./inv up --fluentd
    """
    from build.deploy import start as deploy
    from build.views import tables

    manifest = _manifest()
    if dry_run:
        tables.planned_start(manifest, service, release=release)
    else:
        started = deploy.start(manifest, service, release=release, fluentd=fluentd, take_over=take_over)
        tables.running(started, json=json)


@task(help=_JSON | _DRY | {"volumes": "remove the data too"})
def down(_c: Context, *, volumes: bool = False, json: bool = False, dry_run: bool = False) -> None:
    """Stop and remove the stack; its data stays.

    Examples: ./inv down   |   ./inv down --volumes
    """
    from build.stack import run, status
    from build.views import tables

    manifest = _manifest()
    names = [container.name for container in status.containers(manifest)]
    tables.stopped(names if dry_run or run.down(manifest, volumes=volumes) else [], volumes=volumes, planned=dry_run)


@task(help=_JSON)
def ps(_c: Context, *, json: bool = False) -> None:
    """Print the containers: state, health, digest, URL.

    Examples: ./inv ps   |   ./inv ps --json
    """
    from build.stack import status
    from build.views import tables

    tables.running(status.containers(_manifest()), json=json)


@task(bare="container", iterable=["container"], help={
    "container": "only this container; a,b or repeated for more (default: all)",
    "follow": "keep printing new lines", "tail": "number of lines to start with, of each container",
} | _JSON)  # fmt: skip
def logs(
    _c: Context, *, container: list[str], follow: bool = False, tail: str = "200", json: bool = False
) -> None:  # fmt: skip
    """Print the logs of the containers.

    Examples: ./inv logs   |   ./inv logs monitoring -f   |   ./inv logs --tail 50 --json
    """
    from build import console
    from build.errors import UsageError
    from build.stack import logs

    if json and follow:
        raise UsageError("--json prints one document, and what is followed has no end", hint="./inv logs --json")
    if json:
        console.result(logs.read(_manifest(), container, tail=tail))
    else:
        logs.show(_manifest(), container, follow=follow, tail=tail)


@task(bare="service", iterable=["service"], help=_SERVICE | _JSON)
def watch(_c: Context, *, service: list[str], json: bool = False) -> None:
    """Rebuild and restart services when their files change.

    Until Ctrl-C; a service's files are its folder and its sources.

    Examples: ./inv watch   |   ./inv watch docs-server
    """
    from build.config.select import chosen
    from build.machine import watch

    manifest = _manifest()
    watch.run(manifest, chosen(manifest, service))


@task(bare="service", iterable=["service"], help=_SERVICE | _JSON | _DRY)
def smoke(_c: Context, *, service: list[str], json: bool = False, dry_run: bool = False) -> None:
    """Check the running stack with real requests.

    Each service is asked, and a journey goes across them; exit code 6 on failure.

    Examples: ./inv smoke   |   ./inv smoke langgraph-api   |   nox -s smoke (up, smoke, down)
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
def quickstart(_c: Context, *, json: bool = False, dry_run: bool = False) -> None:
    """From a fresh machine to a running, checked stack.

    Installs what lacks, builds, scans, starts and smoke-tests; a second run is quick.

    Examples: ./inv quickstart
    """
    from build.machine import quickstart

    quickstart.run(_manifest(), json=json, dry_run=dry_run)


@task(iterable=["published"], help=_JSON | {
    "root": "your project's folder: its Modules/, agents/ and documentation, and the tree to watch",
    "modules": "the folder of PowerShell modules", "agents": "the folder of graphs and roles",
    "docs": "the documentation", "watched": "the tree to watch", "nupkgs": "packages that modules require",
    "registry": "HOST:PORT of your registry", "namespace": "images are REGISTRY/NAMESPACE/SERVICE",
    "username": "the user name of its login", "password_file": "a file with the password",
    "ca_file": "a file with the CA of its certificate",
    "published": "CONTAINER=PORT: another port on this machine; a=1,b=2 or repeated for more",
    "yes": "ask nothing, also at a terminal: what no flag names stays as it is",
    "dry_run": "print the file, and write nothing",
})  # fmt: skip
def init(
    _c: Context, *, root: str = "", modules: str = "", agents: str = "", docs: str = "", watched: str = "",
    nupkgs: str = "", registry: str = "", namespace: str = "", username: str = "", password_file: str = "",
    ca_file: str = "", published: list[str], yes: bool = False, json: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Write versions.local.toml: sources, registry, ports.

    Asks at a terminal; flags alone elsewhere. An existing file is never overwritten.

    Examples: ./inv init   |   ./inv init --root ../MyProject --yes   |   ./inv init --published docs-server=9080
    """
    from build.machine import init

    sources = {"modules": modules, "agents": agents, "docs": docs, "watched": watched, "nupkgs": nupkgs}
    login = {"username": username, "password_file": password_file, "ca_file": ca_file}
    flags = init.Flags(
        root=root, sources=sources, registry={"address": registry, "namespace": namespace} | login, published=published
    )
    init.run(ROOT, flags, ask=sys.stdin.isatty() and not yes and not json, dry_run=dry_run)


@task(help=_JSON | {"check": "only check whether the committed files are current"})
def compose(_c: Context, *, check: bool = False, json: bool = False) -> None:
    """Write the Compose files from versions.toml.

    docker/compose.yaml and its Fluentd overlay.

    Examples: ./inv compose   |   ./inv compose --check
    """
    from build.stack import compose

    compose.write_reference_files(ROOT, check=check)


@task(help=_JSON | {"check": "only check whether the committed files are current"})
def schema(_c: Context, *, check: bool = False, json: bool = False) -> None:
    """Write the JSON Schemas, from the types.

    Editors check versions.toml with them; the third is that of what tasks print with --json.

    Examples: ./inv schema   |   ./inv schema --check
    """
    from build.config import schema
    from build.program import output_schema

    schema.write(ROOT, check=check, others={output_schema.FILE: output_schema.text()})


@task(help=_JSON)
def version(_c: Context, *, json: bool = False) -> None:
    """Print the current version and the next ones.

    The next one for each bump: auto (and why), patch, minor, major.

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
def changelog(_c: Context, *, write: bool = False, version: str = "", json: bool = False) -> None:
    """Print the changes of each release.

    And the unreleased ones, as Keep a Changelog, from Conventional Commits.

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
def commits_check(_c: Context, *, range: str = "", message: str = "", json: bool = False) -> None:
    """Check that messages are Conventional Commits.

    The next version is computed from them.

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
    "resume": "only finish interrupted releases, check every floating tag, put lost signatures back",
    "skip": "skip this gate, or only its vulnerabilities; recorded permanently; repeat it for more",
    "skip_scan": "--skip scan",
    "skip_smoke": "--skip smoke",
    "local": "release from this machine although only CI may; recorded permanently",
})  # fmt: skip
def release(
    _c: Context, *, service: list[str], bump: str = "auto", pre: str = "", version: str = "", dry_run: bool = False,
    plan: str = "", apply: str = "", resume: bool = False, skip_scan: bool = False, skip_smoke: bool = False,
    local: bool = False, json: bool = False, skip: list[str],
) -> None:  # fmt: skip
    """Make the next release, or finish one.

    Builds what changed, passes the gates, claims the version in git, publishes X.Y.Z, then moves X.Y and X.

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
def releases(_c: Context, *, json: bool = False) -> None:
    """Print the releases and their states.

    Version, date, commit, state, skipped gates.

    Examples: ./inv releases   |   ./inv releases --json
    """
    from build.release import catalog
    from build.views import releases

    releases.releases(catalog.all_of(_manifest()), json=json)


@task(bare="version", iterable=["service"], help=_SERVICE | _JSON | {
    "version": "a release: 1.4.0, or the one that 1.4 or 1 names",
    "key": "a file with the only public key that counts (default: those of [signing])",
})  # fmt: skip
def verify(_c: Context, version: str, *, service: list[str], key: str = "", json: bool = False) -> None:
    """Verify a release: signatures, attestations, digests, tags.

    What is missing or wrong, by name, and then exit code 21; every layer is read.

    Examples: ./inv verify 1.4.0   |   ./inv verify 1.4.0 --key release.pub --json
    """
    from build.release import checks, verification
    from build.views import proofs

    results = verification.read(_manifest(), version, service, key=key)
    proofs.verified(results, json=json)
    checks.require(results)


@task(bare="version", iterable=["service"], help=_SERVICE | _JSON | {
    "version": "a release: 1.4.0, or the one that 1.4 or 1 names", "format": "cyclonedx or spdx",
})  # fmt: skip
def sbom(
    _c: Context, version: str, *, service: list[str], format: str = "cyclonedx", json: bool = False
) -> None:  # fmt: skip
    """Print the bill of materials of a release.

    One document: that of an image, or of all images as parts of the release.

    Examples: ./inv sbom 1.4.0 > release.cdx.json   |   ./inv sbom 1.4.0 --service docs-server --format spdx
    """
    from build import console
    from build.release import bills

    console.result(bills.document(_manifest(), version, service, format=format))


@task(bare="service", iterable=["service"], help=_SERVICE | _JSON | {
    "old": "a release: 1.3.2, or the one that 1.3 or 1 names", "new": "another release",
    "markdown": "print it as Markdown, for release notes",
})  # fmt: skip
def diff(
    _c: Context, old: str, new: str, *, service: list[str], markdown: bool = False, json: bool = False
) -> None:  # fmt: skip
    """Print what differs between two releases.

    Commits, packages and licences that came, went or changed, findings, sizes, settings, gates, digests.

    Examples: ./inv diff 1.3.2 1.4.0   |   ./inv diff 1.3 1.4 docs-server   |   ./inv diff 1.3.2 1.4.0 --markdown
    """
    from build.errors import UsageError
    from build.release import compared
    from build.views import differences

    if json and markdown:
        raise UsageError("--json prints a document, and --markdown another", hint="one of them")
    differences.report(compared.read(_manifest(), old, new, service), json=json, markdown=markdown)


@task(help=_JSON | _DRY | {
    "version": "the version to withdraw, or gone: every release that the registry has lost",
    "reason": "why; recorded permanently",
    "service": "in independent mode: the service whose version it is",
})  # fmt: skip
def yank(
    _c: Context, version: str, *, reason: str = "", service: str = "", json: bool = False, dry_run: bool = False
) -> None:
    """Withdraw a release.

    Floating tags move to the best remaining one, deployments refuse it, its X.Y.Z tag stays.

    Examples: ./inv yank 1.4.0 --reason "loses events on restart"   |   ./inv yank gone --reason "registry emptied"
    """
    from build.deploy import status as deployed
    from build.release.yank import yank as withdraw
    from build.views import releases

    manifest = _manifest()
    done = withdraw(manifest, version, reason, service=service, dry_run=dry_run)
    deployed.warn_of(manifest, done)
    releases.yanked(done, json=json, dry_run=dry_run)


@task(bare="version", iterable=["service", "accept_data_loss"], help=_JSON | _TARGET | _ACCEPT | {
    "version": "a release: 1.4.0, or the one that 1.4 or 1 names now",
    "service": "only this service, the others stay as they are; a,b or repeated for more",
    "dry_run": "print what would change, and do nothing",
    "plan": "write what would change to this file, and do nothing",
    "apply": "carry out the plan in this file; refused if anything changed since",
    "resume": "finish the deploy that was interrupted",
    "adopt": "replace what was changed by hand, or was never deployed",
    "break_lock": "take the lock from another machine, whose deploy is gone",
})  # fmt: skip
def deploy(
    _c: Context, *, version: str = "", target: str = "", service: list[str], dry_run: bool = False, plan: str = "",
    apply: str = "", resume: bool = False, adopt: bool = False, break_lock: bool = False,
    accept_data_loss: list[str], json: bool = False,
) -> None:  # fmt: skip
    """Bring a release to a target, whole.

    One container after the other, only what changed; a deploy that fails ends in the set that ran before (exit 16).

    Examples: ./inv deploy 1.4.0   |   ./inv deploy 1.4.0 --target production --dry-run   |   ./inv deploy --resume
    """
    from build.deploy import command
    from build.views import deploys

    if dry_run or plan:
        planned = command.preview(
            _manifest(), version, target=target, services=service, file=plan, adopt=adopt, accept=accept_data_loss
        )
        deploys.plan(planned, file=plan, json=json)
    else:
        deploys.made(lambda: command.deploy(
            _manifest(), version, target=target, services=service, apply=apply, resume=resume, adopt=adopt,
            break_lock=break_lock, accept=accept_data_loss,
        ), json=json)  # fmt: skip


@task(iterable=["accept_data_loss"], help=_JSON | _DRY | _TARGET | _ACCEPT | {
    "to": "a release, or the number of a deploy (default: the last good set)",
    "adopt": "replace what was changed by hand",
    "break_lock": "take the lock from another machine, whose deploy is gone",
})  # fmt: skip
def rollback(
    _c: Context, *, to: str = "", target: str = "", adopt: bool = False, break_lock: bool = False,
    accept_data_loss: list[str], json: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Go back to an earlier set, whole.

    The last good one, or a named one, as the target's own journal has it; verified by digest on what runs.

    Examples: ./inv rollback   |   ./inv rollback --to 1.3.2 --target production   |   ./inv rollback --dry-run
    """
    from build.deploy import command
    from build.views import deploys

    if dry_run:
        planned = command.preview_rollback(
            _manifest(), target=target, back_to=to, adopt=adopt, accept=accept_data_loss
        )  # fmt: skip
        deploys.plan(planned, json=json)
    else:
        deploys.made(lambda: command.rollback(
            _manifest(), target=target, back_to=to, adopt=adopt, break_lock=break_lock, accept=accept_data_loss
        ), json=json)  # fmt: skip


@task(help=_JSON | _TARGET)
def status(_c: Context, *, target: str = "", json: bool = False) -> None:
    """Print what runs on a target, and where it differs.

    The release, each container with its digest, health and age, and every drift from what was deployed.

    Examples: ./inv status   |   ./inv status --target production --json
    """
    from build.deploy import status as deployed
    from build.views import deploys

    deploys.status(deployed.read(_manifest(), target), json=json)


@task(help=_JSON | _TARGET)
def deploys(_c: Context, *, target: str = "", json: bool = False) -> None:
    """Print the deploys and roll backs of a target.

    Who, when, from, to, outcome; the newest first.

    Examples: ./inv deploys   |   ./inv deploys --target production --json
    """
    from build.deploy import status as deployed
    from build.views import deploys as view

    view.history(deployed.history(_manifest(), target), json=json)


@task(bare="service", iterable=["service"], help=_JSON | _TARGET | {
    "service": "only this service's volumes; a,b or repeated for more (default: all that state a format of data)",
    "out": "the file to write (default: one in .uc/backups, named by the time)",
})  # fmt: skip
def backup(_c: Context, *, service: list[str], target: str = "", out: str = "", json: bool = False) -> None:
    """Write the data of a target to a file.

    The containers go on; SQLite databases are copied by the online backup, as of one moment each.

    Examples: ./inv backup   |   ./inv backup --target production --out before-1.5.tar.gz   |   ./inv backup monitoring
    """
    from build.deploy import backup
    from build.views import backups

    backups.written(backup.write(_manifest(), target=target, services=service, out=out), json=json)


@task(iterable=["service"], help=_JSON | _TARGET | {
    "file": "what ./inv backup has written",
    "service": "only this service's volumes; a,b or repeated for more (default: all in the file)",
    "yes": "restore a backup of another project or target, too",
    "adopt": "replace what was changed by hand",
    "break_lock": "take the lock from another machine, whose deploy is gone",
})  # fmt: skip
def restore(
    _c: Context, file: str, *, service: list[str], target: str = "", yes: bool = False, adopt: bool = False,
    break_lock: bool = False, json: bool = False,
) -> None:  # fmt: skip
    """Bring a backup back into a target.

    Verified first; the containers are stopped meanwhile, and what fails ends in the data of before (exit 16).

    Examples: ./inv restore before-1.5.tar.gz   |   ./inv restore b.tar.gz --service monitoring --target production
    """
    from build.deploy import backup
    from build.views import backups

    started = time.monotonic()
    done = backup.restore(
        _manifest(), file, target=target, services=service, foreign=yes, adopt=adopt, break_lock=break_lock
    )
    backups.restored(done, time.monotonic() - started, json=json)


@task(bare="version", help=_JSON | _TARGET | {
    "version": "a release (default: what is deployed)", "out": "write them into this folder, instead of printing them",
})  # fmt: skip
def manifests(_c: Context, *, version: str = "", target: str = "", out: str = "", json: bool = False) -> None:
    """Print what a deploy applies, as files.

    Compose, a Swarm stack, or Kubernetes YAML with a kustomization.

    Examples: ./inv manifests --version 1.4.0   |   ./inv manifests --version 1.4.0 --target cluster --out k8s
    """
    from build.deploy import command
    from build.views import deploys

    content = command.files(_manifest(), version, target=target)
    deploys.files(content, command.write_files(content, Path(out)) if out else [], json=json)


@task(bare="session", iterable=["session"], help=_JSON | {
    "session": "a nox session; a,b or repeated for more (default: all)",
})  # fmt: skip
def test(_c: Context, *, session: list[str], json: bool = False) -> None:
    """Run the project's checks: the nox sessions.

    Prepares the machine first: lint, types, coverage, setup, services, docker and so on.

    Examples: ./inv test   |   ./inv test unit docker
    """
    from build.machine import checks

    checks.run_tests(_manifest(), session)


@task(name="up", help=_JSON | _DRY)
def registry_up(_c: Context, *, json: bool = False, dry_run: bool = False) -> None:
    """Start the embedded registry.

    On loopback; its storage is a named volume.

    Examples: ./inv registry.up
    """
    from build.machine import prepare

    prepare.registry(_manifest(), dry_run=dry_run)


@task(name="down", help=_JSON | _DRY | {"volumes": "remove its storage too"})
def registry_down(_c: Context, *, volumes: bool = False, json: bool = False, dry_run: bool = False) -> None:
    """Stop the embedded registry; its storage stays.

    Examples: ./inv registry.down   |   ./inv registry.down --volumes
    """
    from build import console
    from build.registry import embedded

    manifest = _manifest()
    container = embedded.container(manifest)
    removed = dry_run or embedded.down(manifest, volumes=volumes)
    what = f"remove {container}{' and its volume' if volumes else ''}"
    done = "registry removed" if removed else "no registry was running"
    data = {"removed": [container] if removed else [], "volumes": volumes}
    console.outcome(what if dry_run else done, data, planned=dry_run)


@task(name="ls", help=_JSON)
def registry_ls(_c: Context, *, json: bool = False) -> None:
    """Print the repositories and tags of the registry.

    Examples: ./inv registry.ls   |   ./inv registry.ls --json
    """
    from build import console
    from build.columns import Column
    from build.registry import client

    contents = client.contents(_manifest())
    if json:
        console.result(contents)
    else:
        console.table(
            ("repository", Column("tags", yields=1, prose=True)),
            [(name, ", ".join(tags)) for name, tags in contents.items()],
        )


@task(name="clean", help=_JSON | _DRY | {
    "keep": "how many of the newest development builds stay in each repository; 0 for none",
})  # fmt: skip
def registry_clean(_c: Context, *, keep: str = "10", json: bool = False, dry_run: bool = False) -> None:
    """Delete what no release, deploy target or float needs.

    Old candidates and development builds, signatures without their image, leftovers of probes; never a release.

    Examples: ./inv registry.clean --dry-run   |   ./inv registry.clean   |   ./inv registry.clean --keep 3
    """
    from build.deploy import in_use
    from build.release import clean
    from build.views import cleaning

    manifest = _manifest()
    result = clean.clean(manifest, in_use.images(manifest), keep=keep, dry_run=dry_run)
    cleaning.cleaned(result, json=json, dry_run=dry_run)


@task(name="init", help=_JSON | _DRY)
def secrets_init(_c: Context, *, json: bool = False, dry_run: bool = False) -> None:
    """Create the missing secrets; none is overwritten.

    Examples: ./inv secrets.init
    """
    from build.stack import secrets
    from build.views import tables

    tables.secrets(secrets.planned(_manifest()) if dry_run else secrets.initialise(_manifest()))


@task(name="rotate", values={"name": "secret"}, help=_JSON | _DRY | {
    "name": "the secret to renew", "finish": "refuse the old value from now on",
    "target": "the secret of this deploy target, which takes the new value at once",
})  # fmt: skip
def secrets_rotate(
    _c: Context, name: str, *, finish: bool = False, target: str = "", json: bool = False, dry_run: bool = False
) -> None:
    """Renew a secret; the old value stays valid for now.

    The new value stands in front, the old one on the second line, until --finish.

    Examples: ./inv secrets.rotate mcp_token   |   ./inv secrets.rotate mcp_token --target production --finish
    """
    from build.deploy import rotation
    from build.stack import secrets
    from build.views import tables

    manifest = _manifest()
    folder = rotation.folder(manifest, target) if target else None
    file = secrets.renewable(manifest, name, folder=folder)
    if dry_run:
        tables.rotation(file, finish=finish)
    elif target:
        tables.rotated(file, finished=rotation.rotate(manifest, name, target=target, finish=finish))
    elif finish:
        tables.rotated(file, finished=secrets.finish(manifest, name))
    else:
        secrets.rotate(manifest, name)
        tables.rotated(file)


@task(name="init", help=_JSON | _DRY | {
    "folder": "where to write it (default: as [signing] says, else beside the user's other settings)",
})  # fmt: skip
def keys_init(_c: Context, *, folder: str = "", json: bool = False, dry_run: bool = False) -> None:
    """Make a signing key for releases; none is overwritten.

    EC P-256, encrypted, with its password in a file and the public key beside it.

    Examples: ./inv keys.init   |   ./inv keys.init --folder /media/usb/keys
    """
    from build.signing import keys
    from build.views import proofs

    files = keys.planned(_manifest(), folder)
    proofs.keys(files if dry_run else keys.create(files), planned=dry_run, json=json)


@task(name="write", bare="version", iterable=["version", "since"], help=_JSON | _DRY | {
    "version": "a release: 1.4.0; a,b or repeated for more, which share their layers",
    "since": "a release that the other place has already: its layers are left out",
    "out": "the file to write (default: PROJECT-VERSION.tar)", "with_db": "with the vulnerability database",
})  # fmt: skip
def bundle_write(
    _c: Context, *, version: list[str], since: list[str], out: str = "", with_db: bool = False, json: bool = False,
    dry_run: bool = False,
) -> None:  # fmt: skip
    """Write releases to a file, for a closed place.

    Images, record, signatures, attestations, bills of materials, and what each deploy target gets.

    Examples: ./inv bundle.write 1.4.0   |   ./inv bundle.write 1.4.0 --since 1.3.2 --out /media/usb/1.4.0.tar
    """
    from build.bundle import write
    from build.views import bundles

    written = write.write(_manifest(), version, since=since, out=out, with_db=with_db, dry_run=dry_run)
    bundles.written(written, dry_run=dry_run)


@task(name="verify", bare="file", help=_JSON | {
    "file": "what ./inv bundle.write has written",
    "key": "a file with the only public key that counts (default: those of [signing])",
})  # fmt: skip
def bundle_verify(_c: Context, file: str, *, key: str = "", json: bool = False) -> None:
    """Verify a bundle: every hash, and its releases.

    What is missing or wrong, by name, and then exit code 21.

    Examples: ./inv bundle.verify 1.4.0.tar   |   ./inv bundle.verify 1.4.0.tar --key release.pub
    """
    from build.bundle import check
    from build.views import bundles

    bundles.checked(check.read(_manifest(), file, key=key), file, json=json)


@task(name="load", bare="file", help=_JSON | {
    "file": "what ./inv bundle.write has written",
    "registry": "HOST:PORT of the registry (default: that of [registry])",
    "key": "a file with the only public key that counts (default: those of [signing])",
})  # fmt: skip
def bundle_load(_c: Context, file: str, *, registry: str = "", key: str = "", json: bool = False) -> None:
    """Load a bundle into a registry.

    Verified before a byte is put; what is there already is not sent again; the record comes last.

    Examples: ./inv bundle.load 1.4.0.tar   |   ./inv bundle.load 1.4.0.tar --registry registry.site:5000
    """
    from build.bundle import load
    from build.views import bundles

    manifest = _manifest(UC_REGISTRY_ADDRESS=registry) if registry else _manifest()
    bundles.loaded(load.load(manifest, file, key=key))


@task(name="config", help=_JSON | {"client": "claude-code, claude-desktop, cursor or vscode"})
def mcp_config(_c: Context, client: str, *, json: bool = False) -> None:
    """Print an MCP client's configuration for the servers.

    All of them, at their published ports; the token by reference where the client can.

    Examples: ./inv mcp.config vscode > .vscode/mcp.json   |   ./inv mcp.config --client claude-code --json
    """
    from build.stack import mcp_clients
    from build.views import mcp

    mcp.configuration(mcp_clients.configuration(_manifest(), client, windows=os.name == "nt"), json=json)


@task(help=_JSON | {"shell": "bash, zsh or fish"})
def completion(_c: Context, shell: str, *, json: bool = False) -> None:
    """Print what makes a shell complete ./inv.

    Put the line into the shell's own start file; it works in any folder, for the ./inv that is typed.

    Examples: source <(./inv completion bash)   |   ./inv completion fish > ~/.config/fish/completions/inv.fish
    """
    from build import console
    from build.program import shells

    script = shells.script(shell)
    if json:
        console.result({"shell": shell, "script": script})
    else:
        console.text(script)


ns = Collection(
    *group("Start here", quickstart, init, doctor, engine),
    *group("Build and check", sources, build_, scan, bases, version, changelog),
    *group("Run", up, down, ps, logs, smoke, watch, compose),
    *group("Release", release, releases, verify, sbom, diff, yank),
    *group("Deploy", deploy, rollback, status, deploys, backup, restore, manifests),
    *group("This repository", test, schema, completion),
)
ns.add_collection(Collection("commits", *group("This repository", commits_check)))
ns.add_collection(Collection("bundle", *group("Release", bundle_write, bundle_verify, bundle_load)))
ns.add_collection(Collection("keys", *group("Registry and secrets", keys_init)))
ns.add_collection(Collection("mcp", *group("Run", mcp_config)))
ns.add_collection(
    Collection("registry", *group("Registry and secrets", registry_up, registry_down, registry_ls, registry_clean))
)
ns.add_collection(Collection("secrets", *group("Registry and secrets", secrets_init, secrets_rotate)))
