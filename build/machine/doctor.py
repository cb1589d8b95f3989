"""Examines the machine: everything that a build, a scan or a run needs, each with what to do where it is missing.

A bad machine never raises here. The checks are independent and run at the same time: the slowest one is the wait.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import platform
import shutil
import ssl
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build import console
from build.config.manifest import Manifest
from build.engine import disk
from build.errors import BuildError, RepositoryError, ScanBroken, SecretError
from build.gates.scan import database, trivy
from build.git import history as git_history
from build.images import bases, secrets
from build.machine import docker_checks
from build.machine.docker_checks import Docker, Finding, State
from build.parallel import together
from build.process import run
from build.registry import credentials, transport
from build.stack import secrets as stack_secrets

_REGISTRY_SECONDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the report; `remedy` is a command or an exact step."""

    check: str
    state: State
    found: str
    remedy: str = ""


def examine(manifest: Manifest) -> tuple[Row, ...]:
    """Every check's rows, in a fixed order. Takes under two seconds, unless the registry does not answer."""
    docker: Future[Docker] = Future()
    checks = [functools.partial(_rows, name, check, manifest, docker) for name, check in _CHECKS]
    _, *results = together([functools.partial(_ask, docker), *checks])
    return tuple(row for rows in results for row in rows)


def _ask(docker: Future[Docker]) -> list[Row]:
    """Ask Docker for the checks that wait for its answer; no rows."""
    try:
        docker.set_result(docker_checks.ask())
    except BaseException as error:
        docker.set_exception(error)
        raise
    return []


def _rows(name: str, check: Check, manifest: Manifest, docker: Future[Docker]) -> list[Row]:
    try:
        result = check(manifest, docker)
        named = [(name, result)] if isinstance(result, Finding) else list(result)
    except BuildError as error:
        named = [(name, Finding("fail", str(error), error.hint))]
    except (OSError, ValueError) as error:
        named = [(name, Finding("fail", f"{type(error).__name__}: {error}", "mend what the message names"))]
    return [Row(check=one, **finding._asdict()) for one, finding in named]


def as_json(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """The rows as a JSON document has them."""
    return [dataclasses.asdict(row) for row in rows]


def show(rows: tuple[Row, ...], *, as_json: bool = False) -> None:
    """Print the rows. Raises BuildError when one of them is a failure."""
    if as_json:
        console.result([dataclasses.asdict(row) for row in rows])
    else:
        cells = [(console.mark(row.state), row.check, row.found, row.remedy) for row in rows]
        console.table(("", "check", "found", "what to do"), cells)
    if failed := [row.check for row in rows if row.state == "fail"]:
        raise BuildError(f"this machine fails {len(failed)} of {len(rows)} checks: {', '.join(failed)}")


def _python(manifest: Manifest, _docker: Future[Docker]) -> Finding:
    found = f"{platform.python_version()} in {sys.prefix}"
    if Path(sys.prefix).resolve() != (manifest.root / ".venv").resolve():
        return Finding("warn", f"{found}: not the locked environment", "run tasks as ./inv TASK")
    return Finding("ok", found)


def _git(_manifest: Manifest, _docker: Future[Docker]) -> Finding:
    return Finding("ok", run(["git", "--version"], timeout=10, hint="sudo apt-get install git").stdout.split()[2])


def _repository(manifest: Manifest, _docker: Future[Docker]) -> Finding:
    try:
        git = git_history.read(manifest)
    except RepositoryError as error:
        return Finding("fail", str(error), error.hint)
    tags = [one.last_tag for one in git.lines.values() if one.last_tag]
    found = f"{git.commit[:7]}, {', '.join(tags) or 'no version tag'}{', uncommitted changes' if git.dirty else ''}"
    try:
        git_history.require_full(git)
    except RepositoryError as error:
        return Finding("fail", f"{found}: {error}", error.hint)
    return Finding("ok", found)


def _place(manifest: Manifest, _docker: Future[Docker]) -> Finding:
    if not docker_checks.in_wsl():
        return Finding("skip", "not WSL")
    if str(manifest.root).startswith("/mnt/"):
        return Finding(
            "warn", f"{manifest.root} is a Windows drive: slow, and blind to changes", "git clone it below ~"
        )
    return Finding("ok", f"{manifest.root} is on Linux's own disk")


def _privilege(_manifest: Manifest, docker: Future[Docker]) -> Finding:
    if not hasattr(os, "geteuid"):
        return Finding("skip", "not needed on Windows")
    if os.geteuid() == 0:
        return Finding("ok", "root")
    if shutil.which("sudo") and run(["sudo", "-n", "true"], ok_codes=range(256), timeout=10).returncode == 0:
        return Finding("ok", "sudo without a password")
    if docker.result().answers:
        return Finding("ok", "neither root nor sudo, and the engine answers")
    return Finding("warn", "no root here, which installing the engine needs", "sudo ./inv engine --yes")


def _credentials(_manifest: Manifest, _docker: Future[Docker]) -> Finding:
    config = credentials.read(credentials.docker_config())
    names = {str(name) for name in (config.get("credsStore"), *config["credHelpers"].values()) if name}
    for name in sorted(f"docker-credential-{name}" for name in names):
        remedy = f"remove it from {credentials.docker_config()} (credsStore, credHelpers), or put {name} on PATH"
        try:
            run([name, "version"], timeout=10)
        except (BuildError, OSError) as error:
            return Finding("fail", f"{name} can't be run, so every pull and push fails: {error}", remedy)
    return Finding("ok", ", ".join(sorted(names)) or "none configured")


def _disk(manifest: Manifest, docker: Future[Docker]) -> Finding:
    places = [manifest.workspace.root]
    if docker.result().answers and not docker.result().desktop:
        places.append(Path(docker.result().info.get("DockerRootDir") or "/"))
    space = disk.free(places)
    state = disk.state(space)
    return Finding(state, disk.describe(space), "" if state == "ok" else disk.HINT)


def _registry(manifest: Manifest, _docker: Future[Docker]) -> Finding:
    import httpx

    settings = manifest.registry
    loopback = transport.is_loopback(settings.address)
    try:
        # The machine's own certificates, as the engine has them; and never a proxy between this machine and itself.
        context = ssl.create_default_context()
        with httpx.Client(timeout=_REGISTRY_SECONDS, trust_env=not loopback, verify=context) as client:
            answer = client.get(f"{transport.url(manifest)}/v2/")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if settings.embedded and loopback:
            return Finding("warn", f"{settings.address} is not up (embedded)", "./inv registry.up")
        remedy = f"curl -v {transport.url(manifest)}/v2/ shows where it ends; or set UC_REGISTRY_ADDRESS"
        return Finding("fail", f"{settings.address} can't be reached: {error}", remedy)
    if answer.status_code in {401, 403}:
        config = credentials.read(credentials.docker_config())
        known = settings.username or settings.address in {*config["auths"], *config["credHelpers"]}
        if known:
            return Finding("ok", f"{settings.address} asks for a login, and there is one")
        return Finding("fail", f"{settings.address} asks for a login", f"docker login {settings.address}")
    if not answer.is_success or "application/json" not in answer.headers.get("content-type", "application/json"):
        remedy = "set UC_REGISTRY_ADDRESS to a registry's address"
        return Finding("fail", f"{settings.address} answers {answer.status_code}, and is no registry", remedy)
    return Finding("ok", f"{settings.address} answers")


def _bases(manifest: Manifest, _docker: Future[Docker]) -> Iterator[tuple[str, Finding]]:
    known = bases.recorded(manifest, manifest.bases.images)
    setting = manifest.bases
    for key, base in setting.images.items():
        name = f"base {base.reference}"
        if key in known:
            yield name, Finding("ok", f"{known[key].source}, {known[key].digest[:19]}")
            continue
        tried = "upstream, mirror, archive, stand-in" if setting.source == "auto" else setting.source
        found = f"not resolved yet; to be tried: {tried if setting.mirror else tried.replace(' mirror,', '')}"
        folders = [manifest.root / folder for folder in setting.archives]
        if base.archive and not any((folder / base.archive).is_file() for folder in folders):
            found += f"; {base.archive}, which its stand-in needs, is in no archive folder"
        yield name, Finding("warn", found, "./inv bases")


def _scanner(_manifest: Manifest, _docker: Future[Docker]) -> Finding:
    program = trivy.program()
    return Finding("ok", f"{program} {run([program, '--version'], timeout=20).stdout.split()[1]}")


def _database(manifest: Manifest, _docker: Future[Docker]) -> Finding:
    gates = manifest.gates
    if "vuln" not in gates.scanners:
        return Finding("skip", "gates.scanners does not ask for vulnerabilities")
    if not gates.db_repository:
        remedy = "[gates] db_repository = REGISTRY/trivy-db@sha256:… in versions.local.toml"
        return Finding("warn", "none configured: vulnerabilities are not checked", remedy)
    updated = database.made(manifest.workspace.trivy)
    if updated is None:
        return Finding("ok", f"{gates.db_repository}, not fetched yet")
    try:
        database.check_age(updated, gates, datetime.now(UTC))
    except ScanBroken as error:
        return Finding("fail", str(error), error.hint)
    return Finding("ok", f"made {updated:%Y-%m-%d %H:%M} UTC")


def _build_secrets(manifest: Manifest, _docker: Future[Docker]) -> Iterator[tuple[str, Finding]]:
    for name, value in manifest.build_secrets.items():
        label = "CA bundle" if name == "ca_bundle" else f"build secret {name}"
        try:
            path = secrets.path(manifest, name)
        except SecretError as error:
            yield label, Finding("fail", str(error), error.hint)
            continue
        found = str(path) if path.stat().st_size else "none: the base image's own certificates count"
        if value or name == "ca_bundle":
            yield label, Finding("ok", found)


def _secrets(manifest: Manifest, _docker: Future[Docker]) -> Finding:
    names = {name: kind for _, container in manifest.containers().values() for name in container.secrets
             for kind in [manifest.secrets[name]]}  # fmt: skip
    try:
        stack_secrets.check(manifest, names)
    except SecretError as error:
        return Finding("warn", "; ".join(str(error).splitlines()), error.hint)
    folder = manifest.workspace.secrets
    empty = [name for name, kind in names.items() if kind == "external" and not (folder / name).stat().st_size]
    return Finding("ok", f"{len(names)} files" + (f"; empty, so offline: {', '.join(empty)}" if empty else ""))


Result = Finding | Iterator[tuple[str, Finding]]
Check = Callable[[Manifest, Future[Docker]], Result]


def _asks(check: Callable[[Manifest, Docker], Result]) -> Check:
    """A check of what Docker said; the others need not wait for that."""
    return lambda manifest, docker: check(manifest, docker.result())


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("Python", _python),
    ("Git", _git),
    ("repository", _repository),
    ("place", _place),
    ("root", _privilege),
    ("Docker client", _asks(docker_checks.client)),
    ("Docker Engine", _asks(docker_checks.version)),
    ("buildx", _asks(docker_checks.buildx)),
    ("Compose", _asks(docker_checks.compose)),
    ("image store", _asks(docker_checks.store)),
    ("containers", _asks(docker_checks.mode)),
    ("Docker Desktop", _asks(docker_checks.desktop)),
    ("clock", _asks(docker_checks.clock)),
    ("credential helper", _credentials),
    ("disk", _disk),
    ("registry", _registry),
    ("bases", _bases),
    ("Trivy", _scanner),
    ("vulnerability database", _database),
    ("build secrets", _build_secrets),
    ("runtime secrets", _secrets),
    ("ports", _asks(docker_checks.ports)),
)
