"""How the doctor turns checks into rows, whatever they return or raise; no check of this machine is made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from build.config.manifest import Manifest
from build.diagnosis import Diagnosis, Row
from build.errors import BuildError, MissingTool
from build.machine import doctor
from build.machine.docker_checks import Docker
from tests.support.project import Project


def _one(_manifest: Manifest) -> Diagnosis:
    return Diagnosis("ok", "1.0")


def _several(_manifest: Manifest) -> Iterator[tuple[str, Diagnosis]]:
    yield "first", Diagnosis("ok", "a")
    yield "second", Diagnosis("warn", "b", "fix it")


def _missing(_manifest: Manifest) -> Diagnosis:
    raise MissingTool("x is not installed", hint="install x")


def _half(_manifest: Manifest) -> Iterator[tuple[str, Diagnosis]]:
    yield "first", Diagnosis("ok", "a")
    raise ValueError("not a number")


@pytest.mark.parametrize(
    ("check", "rows"),
    [
        (_one, [Row(check="c", state="ok", found="1.0")]),
        (
            _several,
            [Row(check="first", state="ok", found="a"), Row(check="second", state="warn", found="b", remedy="fix it")],
        ),
        (_missing, [Row(check="c", state="fail", found="x is not installed", remedy="install x")]),
        (
            _half,
            [Row(check="c", state="fail", found="ValueError: not a number", remedy="fix what the message names")],
        ),
    ],
)
def test_a_check_ends_in_rows(project: Project, check: doctor.Check, rows: list[Row]) -> None:
    """One diagnosis, several under their own names, or an error with its hint: never an exception."""
    assert doctor._rows("c", doctor._alone(check), project.load(), Future()) == rows  # type: ignore[arg-type]


def test_a_check_of_docker_sees_its_answer(project: Project) -> None:
    """The checks of Docker share one answer."""
    docker: Future[Docker] = Future()
    docker.set_result(Docker(client="/usr/bin/docker"))

    (row,) = doctor._rows(
        "c", doctor._asking(lambda _manifest, asked: Diagnosis("ok", asked.client)), project.load(), docker
    )

    assert row.found == "/usr/bin/docker"


def test_a_failing_row_fails_the_task() -> None:
    """Warnings do not; each failed check is named, and the exit code is 1."""
    good, doubtful = Row(check="a", state="ok", found=""), Row(check="b", state="warn", found="", remedy="r")
    doctor.require([good, doubtful])

    with pytest.raises(BuildError, match=r"this machine fails 2 of 4 checks: c, d") as failure:
        doctor.require([good, doubtful, *(Row(check=name, state="fail", found="") for name in ("c", "d"))])
    assert failure.value.exit_code == 1
