"""What a log of buildx says; the logs in bake_logs/ were recorded from buildx 0.13 with `--progress plain`.

Only spaces at the ends of lines were removed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from build.images import bake_log

LOGS = Path(__file__).parent / "bake_logs"
RUN = "the-reason-why (exit code 1)"


def _lines(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()


FAILURES: dict[str, tuple[list[str], str, str, str]] = {
    "step": (["one"], "one", RUN, "the-reason-why"),
    "step_of_several": (["one", "good"], "one", RUN, "the-reason-why"),
    "shared_stage": (["two", "good"], "stage-shared", "it wrote nothing (exit code 1)", ""),
    "base": (["missing"], "missing", "127.0.0.9:9/none:1", ""),
    "parse_error": (["bad", "good"], "", "dockerfile parse error on line 2: unknown instruction: NONSENSE", ""),
}


@pytest.mark.parametrize("log", FAILURES)
def test_a_failure_names_its_target_and_its_reason(log: str) -> None:
    """The target that failed is left out of the next attempt, so a wrong one would lose a good service."""
    targets, target, reason, output = FAILURES[log]

    failure = bake_log.failure(_lines(log), targets)

    assert (failure.target, failure.refused) == (target, False)
    assert reason in failure.reason
    assert failure.output == output or (not output and failure.output in "\n".join(_lines(log)))
    assert not failure.reason.startswith(("ERROR", "failed to solve")) or not target


def test_a_single_target_is_the_one_that_failed() -> None:
    """Where buildx names none, there is no other."""
    assert bake_log.failure(_lines("parse_error"), ["bad"]).target == "bad"


def test_a_target_that_the_last_line_names_is_taken() -> None:
    """Some releases of buildx name the target there; both prefixes are taken off the reason."""
    last = 'ERROR: target docs-server: failed to solve: process "x" did not complete successfully: exit code: 2'

    failure = bake_log.failure([last], ["docs-server", "monitoring"])

    assert failure.target == "docs-server"
    assert failure.reason == 'process "x" did not complete successfully: exit code: 2'


def test_s6_a_failed_step_s_reason_is_its_last_words() -> None:
    """The command line of the step is in no message, and what BuildKit says of the other targets hides nothing."""
    log = [
        "#9 [langgraph-api build 4/9] RUN /opt/build/install-agents requirements.txt agents",
        "#9 0.5 resolving",
        "#9 1.0 agents/requirements.txt, line 3: structlog==24.4.0 conflicts with 26.1.0 of the service",
        "#9 1.0 ",
        '#9 ERROR: process "/bin/sh -c /opt/build/install-agents" did not complete successfully: exit code: 3',
        "#11 [docs-server 1/1] COPY . /x",
        "#11 ERROR: no active sessions",
        "ERROR: failed to solve: no active sessions",
    ]

    failure = bake_log.failure(log, ["docs-server", "langgraph-api"])

    assert failure.target == "langgraph-api"
    assert failure.reason == (
        "agents/requirements.txt, line 3: structlog==24.4.0 conflicts with 26.1.0 of the service (exit code 3)"
    )
    assert not failure.transient
    assert "/bin/sh" not in failure.reason + failure.output


@pytest.mark.parametrize(
    "last",
    [
        "ERROR: failed to solve: no active sessions",
        "ERROR: failed to solve: DeadlineExceeded: context deadline exceeded",
        "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
    ],
)
def test_s6_what_passes_by_itself_is_known(last: str) -> None:
    """A session that was lost under load is no fault of a Dockerfile."""
    assert bake_log.failure([last], ["one", "two"]).transient


@pytest.mark.parametrize("export", [" > exporting to image:", " > [one] exporting to image:"])
@pytest.mark.parametrize(
    "last",
    [
        "ERROR: failed to solve: failed to push r/x:1: unexpected status: 500 Internal Server Error",
        "ERROR: failed to solve: push access denied, repository does not exist or may require authorization",
        'ERROR: failed to solve: failed to do request: Head "https://r/v2/x/blobs/sha256:1": connection refused',
        "ERROR: failed to solve: unexpected status: 401 Unauthorized: unauthorized",
    ],
)
def test_a_refused_push_is_no_failed_build(export: str, last: str) -> None:
    """A registry that refuses has another exit code and another remedy than a Dockerfile that fails."""
    failure = bake_log.failure([export, last], ["one", "two"])

    assert (failure.target, failure.refused) == ("", True)
    assert failure.reason == last.removeprefix("ERROR: ")


@pytest.mark.parametrize(("log", "targets"), [("push", ["good"]), ("push_of_several", ["good", "good2"])])
def test_the_refused_push_of_a_real_log(log: str, targets: list[str]) -> None:
    """Every step went well, and nothing listens at the registry's address; a build of several names the target too."""
    assert bake_log.failure(_lines(log), targets).refused


def test_a_log_without_an_error_is_no_crash() -> None:
    """A buildx that was killed leaves a log that ends anywhere."""
    assert bake_log.failure([], ["one"]).reason == "no reason given"


def test_only_the_end_of_a_long_output_is_kept() -> None:
    """Forty lines of the failed step, and none of another step that ran beside it."""
    step = [f"#9 0.{number} line {number}" for number in range(50)]
    log = ["#9 [one 1/2] RUN x", "#8 0.1 other", *step, "#9 ERROR: exit code: 1", " > [one 1/2] RUN x:", "ERROR: x"]

    assert bake_log.failure(log, ["one"]).output.splitlines() == [f"line {number}" for number in range(10, 50)]


def test_steps_are_followed_as_they_start_and_end() -> None:
    """The step that runs is known at any time; one that ends has its title and its seconds, a cached one has none."""
    steps = bake_log.Steps()
    shown = [
        (f"{finished.title} {finished.seconds}", finished.internal)
        for line in _lines("step_of_several")
        if (finished := steps.read(line))
    ]

    assert ("[good 1/1] COPY Dockerfile /x 0.1", False) in shown
    assert ("[one internal] load .dockerignore 0.0", True) in shown
    assert not any("RUN" in title for title, _ in shown)
    assert steps.latest == ""


def test_the_latest_step_is_the_one_that_started_last() -> None:
    """A live line shows one of the steps that run at once."""
    steps = bake_log.Steps()
    for line in ("#1 [one 1/2] RUN a", "#2 [two 1/2] RUN b", "#2 0.5 output", "#2 DONE 1.5s"):
        steps.read(line)

    assert steps.latest == "[one 1/2] RUN a"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=ca npm ci", "RUN npm ci"),
        ("COPY --from=builder --chown=10001:10001 /opt/venv /opt/venv", "COPY /opt/venv /opt/venv"),
        ("RUN npm ci --ignore-scripts", "RUN npm ci --ignore-scripts"),
        (
            "RUN --mount=type=secret,id=ca     --mount=type=secret,id=index     install  &&     true",
            "RUN install && true",
        ),
        (
            "RUN     --mount=type=secret,id=ca     PYTHONPATH=/src python -m docsite",
            "RUN PYTHONPATH=/src python -m docsite",
        ),
        ("ADD --checksum=sha256:00 https://a.example/b /c", "ADD https://a.example/b /c"),
    ],
)
def test_u17_a_step_is_shown_by_its_command(command: str, shown: str) -> None:
    """Mounts and other flags of an instruction fill no line: the command does."""
    steps = bake_log.Steps()
    steps.read(f"#7 [docs-server site 4/6] {command}")

    assert steps.latest == f"[docs-server site 4/6] {shown}"
