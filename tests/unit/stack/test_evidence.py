"""Which containers are to blame for a stack that does not come up."""

from __future__ import annotations

import pytest

from build.stack import evidence
from build.stack.status import Running


def _container(name: str, state: str, health: str = "", error: str = "") -> Running:
    return Running(
        name=name, service=name, state=state, health=health, image="x", url="", exit_code=1, restarts=2, error=error
    )


HEALTHY = _container("healthy", "running", "healthy")
NO_CHECK = _container("unchecked", "running")
STARTING = _container("starting", "running", "starting")
UNHEALTHY = _container("unhealthy", "running", "unhealthy")
EXITED = _container("exited", "exited")
WAITING = _container("waiting", "created")
REFUSED = _container("refused", "created", error="port is already allocated")


@pytest.mark.parametrize(
    ("containers", "blamed"),
    [
        ([], []),
        ([HEALTHY, NO_CHECK], []),
        ([HEALTHY, UNHEALTHY, EXITED], [UNHEALTHY, EXITED]),
        ([STARTING, WAITING], [STARTING]),
        ([EXITED, WAITING], [EXITED]),
        ([HEALTHY, WAITING], [WAITING]),
        ([STARTING, WAITING, REFUSED], [REFUSED]),
    ],
    ids=["none", "all healthy", "each that fails", "slow, not waiting", "its dependency", "nothing else", "refused"],
)
def test_the_cause_is_named_and_not_what_waits_for_it(containers: list[Running], blamed: list[Running]) -> None:
    """A container the engine refused to start comes first; one that waits for another only when nothing else fails."""
    assert evidence._blamed(containers) == blamed


def test_the_summary_holds_what_the_engine_says() -> None:
    """State, health, exit code and restarts, and the reason of a refusal where there is one."""
    assert evidence._summary(EXITED) == "exited: state exited, health none, exit code 1, restarts 2"
    assert evidence._summary(REFUSED).endswith("restarts 2, port is already allocated")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain text", "plain text"),
        (
            '{"event": "it failed", "level": "error", "time": "2026-11-28T18:31:05.123Z", "x": 1}',
            "18:31:05 error it failed",
        ),
        ('{"message": "no", "exception": "Traceback:\\n  File\\nValueError: 3"}', "no: ValueError: 3"),
        ('{"msg": "short"}', "short"),
        ('{"other": 1}', '{"other": 1}'),
        ("[1, 2]", "[1, 2]"),
        ("x" * 500, "x" * 159 + "…"),
    ],
)
def test_e9_a_log_line_is_shown_for_people(line: str, shown: str) -> None:
    """Of a structured line its time, level, message and reason; any other as it is, cut where nobody would read on."""
    assert evidence._readable(line) == shown


def test_e9_the_last_health_check_is_one_line() -> None:
    """Of a check's output the last line says it; a stack trace does not."""
    checks = [{"ExitCode": 1, "Output": "Traceback\n  File x\nConnectionRefusedError: [Errno 111]\n"}]

    shown = evidence._last_health_check({"State": {"Health": {"Log": checks}}})

    assert shown == "last health check (exit 1): ConnectionRefusedError: [Errno 111]"
    assert evidence._last_health_check({"State": {}}) == "no health check ran"
