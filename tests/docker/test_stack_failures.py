"""A stack that is not healthy: which container, why, and its last log lines, from `up` and from `smoke`."""

from __future__ import annotations

import json
import time

import pytest

from build.deploy import start as deploy
from build.engine import client as docker
from build.errors import SmokeFailed
from build.stack import run
from tests.support.project import Project
from tests.support.stack import DOCKERFILE, HEALTH_VERDICT, add_server


def test_a_program_that_is_not_in_the_image_is_named(stack_project: Project) -> None:
    """A container that the engine can't start is distinguished from those that run, with the engine's own reason."""
    stack_project.write(
        "docker/two/Dockerfile", DOCKERFILE.replace('["python3", "/app/server.py"]', '["no-such-program"]')
    )
    assert stack_project.inv("build").code == 0
    assert stack_project.inv("secrets.init").code == 0

    ran = stack_project.inv("up")

    assert ran.code == 6, ran.text
    assert "not healthy: two\n" in ran.stderr
    assert "no-such-program" in ran.stderr


def test_a_service_that_never_gets_healthy_is_shown(stack_project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A start that ends at its deadline shows the container's state, last health output and last log lines."""
    sick = DOCKERFILE.replace(HEALTH_VERDICT, "print('not-well-today');sys.exit(1)")
    sick = sick.replace("--start-period=20s", "--start-period=1s").replace("--interval=5s", "--interval=1s")
    add_server(stack_project, "sick", sick)
    stack_project.commit("Add a sick service")
    for arguments in (["build"], ["secrets.init"]):
        assert stack_project.inv(*arguments).code == 0

    manifest = stack_project.load()
    what = deploy.runnable(manifest)

    with pytest.raises(SmokeFailed, match="not healthy: sick") as caught:
        run.up(manifest, what.images, what.services, timeout=20)

    shown = capsys.readouterr().err + caught.value.output
    assert "not-well-today" in shown
    assert "request" in shown.partition("last log lines:")[2]
    assert (stack_project.load().workspace.reports / "sick.inspect.json").exists()


def test_a_service_that_crashes_is_shown(stack_project: Project) -> None:
    """A container that exits is reported with its exit code and readable last lines, long before the deadline."""
    program = (
        "print(chr(123) + chr(34) + 'event' + chr(34) + ': ' + chr(34) + 'structured' + chr(34) + chr(125), flush=True)"
    )
    entry = json.dumps(["python3", "-c", f"{program}; raise SystemExit('bye-bye')"])
    crash = DOCKERFILE.replace('["python3", "/app/server.py"]', entry)
    add_server(stack_project, "crash", crash)
    stack_project.commit("Add a crashing service")
    for arguments in (["build"], ["secrets.init"]):
        assert stack_project.inv(*arguments).code == 0

    begin = time.monotonic()
    ran = stack_project.inv("up")

    assert ran.code == 6, ran.text
    assert time.monotonic() - begin < 60
    assert "bye-bye" in ran.stderr
    assert "|   structured" in ran.stderr
    assert '"event"' not in ran.stderr
    assert len(ran.stderr.splitlines()) < 40


def test_a_failing_smoke_check_keeps_the_evidence(built: Project) -> None:
    """A wrong answer is exit 6; the table says why; JUnit, logs and inspect output are kept."""
    assert built.inv("up").code == 0
    manifest_file = built.root / "versions.toml"
    manifest_file.write_text(manifest_file.read_text().replace('{ status = "healthy" }', '{ status = "never" }', 1))

    ran = built.inv("smoke")

    assert ran.code == 6, ran.text
    assert "expected {'status': 'never'}, got {'status': 'healthy'}" in ran.stdout
    reports = built.load().workspace.reports
    assert '<failure message="/x: expected' in (reports / "smoke.xml").read_text()
    assert (reports / "one.log").read_text()
    assert json.loads((reports / "one.inspect.json").read_text())["State"]["Running"]

    manifest_file.write_text(manifest_file.read_text().replace('{ status = "never" }', '{ status = "healthy" }'))
    assert built.inv("smoke").code == 0
    assert [path.name for path in reports.glob("one.*")] == [], "what failed before is well now"


def test_smoke_of_a_stack_that_is_down_says_up(built: Project) -> None:
    """Without a running stack `smoke` names the command that starts it."""
    ran = built.inv("smoke")

    assert ran.code == 6
    assert "./inv up" in ran.stderr


def test_a_broken_check_of_one_container_does_not_hide_the_other(built: Project) -> None:
    """A container that is not running fails its own checks at once and no others."""
    assert built.inv("up").code == 0
    docker.cli("stop", "--time", "1", f"{built.load().project.name}-two-1")

    ran = built.inv("smoke", "--json")

    reasons = {result["container"]: result["reason"] for result in ran.result}
    assert ran.code == 6
    assert reasons == {"one": "", "two": "the container is not running"}
