"""Examines the machine: everything that a build, a gate or a run needs, with a remedy for whatever is missing.

A bad machine never raises here. The checks are independent and run concurrently: the slowest one sets the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from build.config.manifest import Manifest
from build.diagnosis import Diagnosis, Row
from build.errors import BuildError
from build.gates.order import GATES
from build.gates.protocol import Dependency
from build.machine import docker_checks, host_checks, supply_checks
from build.machine.docker_checks import Docker
from build.parallel import together

Diagnoses = Diagnosis | Iterable[tuple[str, Diagnosis]]
Check = Callable[[Manifest, Future[Docker]], Diagnoses]


def examine(manifest: Manifest) -> tuple[Row, ...]:
    """Return the rows of every check in a fixed order. Takes under two seconds unless the registry does not answer."""
    docker: Future[Docker] = Future()
    checks = [partial(_rows, name, check, manifest, docker) for name, check in _CHECKS]
    _, *results = together([partial(_ask, docker), *checks])
    return tuple(row for rows in results for row in rows)


def require(rows: Sequence[Row]) -> None:
    """Raise BuildError naming every check that failed."""
    if failed := [row.check for row in rows if row.state == "fail"]:
        raise BuildError(f"this machine fails {len(failed)} of {len(rows)} checks: {', '.join(failed)}")


def _ask(docker: Future[Docker]) -> list[Row]:
    """Ask Docker once, for all the checks that wait for its answer; no rows."""
    try:
        docker.set_result(docker_checks.ask())
    except BaseException as error:
        docker.set_exception(error)
        raise
    return []


def _rows(name: str, check: Check, manifest: Manifest, docker: Future[Docker]) -> list[Row]:
    try:
        diagnoses = check(manifest, docker)
        named = [(name, diagnoses)] if isinstance(diagnoses, Diagnosis) else list(diagnoses)
    except BuildError as error:
        named = [(name, Diagnosis("fail", str(error), error.hint))]
    except (OSError, ValueError) as error:
        named = [(name, Diagnosis("fail", f"{type(error).__name__}: {error}", "fix what the message names"))]
    return [Row(check=label, **diagnosis._asdict()) for label, diagnosis in named]


def _alone(check: Callable[[Manifest], Diagnoses]) -> Check:
    """A check that does not ask Docker."""
    return lambda manifest, _docker: check(manifest)


def _asking(check: Callable[[Manifest, Docker], Diagnoses]) -> Check:
    """A check of Docker's answer, which it waits for."""
    return lambda manifest, docker: check(manifest, docker.result())


def _of_gates() -> Iterator[tuple[str, Check]]:
    """The dependencies of the gates; one that several gates share is checked once."""
    shared: dict[str, Dependency] = {}
    for gate in GATES:
        for dependency in gate.dependencies:
            shared.setdefault(dependency.name, dependency)
    for name, dependency in shared.items():
        yield name, _alone(dependency.examine)


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("Python", _alone(host_checks.python)),
    ("Git", _alone(host_checks.git)),
    ("repository", _alone(host_checks.repository)),
    ("environment", _alone(host_checks.environment)),
    ("place", _alone(host_checks.place)),
    ("root", _asking(host_checks.privilege)),
    ("Docker client", _asking(docker_checks.client)),
    ("Docker Engine", _asking(docker_checks.version)),
    ("builds at once", _asking(docker_checks.concurrency)),
    ("buildx", _asking(docker_checks.buildx)),
    ("Compose", _asking(docker_checks.compose)),
    ("image store", _asking(docker_checks.store)),
    ("containers", _asking(docker_checks.mode)),
    ("Docker Desktop", _asking(docker_checks.desktop)),
    ("clock", _asking(docker_checks.clock)),
    ("credential helper", _alone(supply_checks.credential_helpers)),
    ("disk", _asking(host_checks.disk)),
    ("registry", _alone(supply_checks.registry)),
    ("bases", _alone(supply_checks.bases)),
    ("sources", _alone(supply_checks.sources)),
    *_of_gates(),
    ("signing", _alone(supply_checks.signing)),
    ("build secrets", _alone(supply_checks.build_secrets)),
    ("runtime secrets", _alone(supply_checks.runtime_secrets)),
    ("ports", _asking(docker_checks.ports)),
)
