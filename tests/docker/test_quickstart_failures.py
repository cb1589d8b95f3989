"""Quickstart with something breaking in the middle: marks and remedies are true."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from build.engine import client as docker
from build.registry import embedded
from tests.support.project import Project, Ran
from tests.support.running import Running


def broken(project: Project, line: str, act: Callable[[], object]) -> Ran:
    """A quickstart in which something happens as soon as a line with this start is printed."""
    return Running(project, ("quickstart",), {}).when(line, act, held=True).wait()


def marks(ran: Ran) -> dict[str, str]:
    """How each step ended, by its title."""
    ended = [line for line in ran.stderr.splitlines() if line[:1] in {"✓", "✗", "!", "-"} and line.endswith(" s)")]
    return {line[2:].rpartition(" (")[0]: line[0] for line in ended}


def test_u6_a_container_that_is_killed_before_its_checks(stack_project: Project) -> None:
    """The checks end with ✗, the service has no ✓, the error names the check, and what is next is to fix it."""
    name = f"{stack_project.load().project.name}-two-1"
    ran = broken(stack_project, "» smoke checks", lambda: docker.cli("kill", name))

    assert ran.code == 6, ran.text
    assert marks(ran)["start the stack"] == "✓"
    assert marks(ran)["smoke checks"] == "✗"
    rows = {line.split()[1]: line for line in ran.stdout.splitlines() if line[:1] in {"✓", "✗"}}
    assert (rows["one"][0], rows["two"][0]) == ("✓", "✗")
    assert "passed" not in rows["two"].partition("127.0.0.1:")[2].partition("passed")[2]
    assert "next: fix what is marked with ✗" in ran.stdout


def test_u6_a_registry_that_is_gone_before_the_push(stack_project: Project) -> None:
    """The build step ends with ✗; the error is the registry's, with the command that starts it; nothing follows."""
    container = embedded.container(stack_project.load())
    ran = broken(stack_project, "» build and push", lambda: docker.cli("rm", "--force", container))

    assert ran.code == 10, ran.text
    assert marks(ran)["private registry"] == "✓"
    assert marks(ran)["build and push all images"] == "✗"
    assert "start the stack" not in marks(ran)
    assert "./inv registry.up" in ran.stderr
    assert "next:" not in ran.stdout


def test_u6_a_port_that_is_taken_in_the_middle(stack_project: Project) -> None:
    """The start ends with ✗ and exit code 12; the error names the port, its owner and the key that changes it."""
    port = stack_project.load().containers()["two"][1].published
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def take() -> None:
            listener.bind(("127.0.0.1", port))
            listener.listen()

        ran = broken(stack_project, "» runtime secrets", take)

    assert ran.code == 12, ran.text
    assert marks(ran)["start the stack"] == "✗"
    assert f"port {port} of two is taken by" in ran.stderr
    assert "smoke checks" not in marks(ran)


@pytest.mark.parametrize(
    ("line", "file", "step"),
    [
        ("» build and push", "build.log", "build and push all images"),
        ("» smoke checks", "smoke.xml", "smoke checks"),
    ],
)
def test_u6_a_disk_that_is_full_in_the_middle(stack_project: Project, line: str, file: str, step: str) -> None:
    """The step that can't write ends with ✗ and exit code 20; the error is the system's, with what shows the space."""
    reports = stack_project.load().workspace.reports

    def fill() -> None:
        reports.mkdir(parents=True, exist_ok=True)
        (reports / file).unlink(missing_ok=True)
        (reports / file).symlink_to("/dev/full")

    ran = broken(stack_project, line, fill)

    assert ran.code == 20, ran.text
    assert marks(ran)[step] == "✗"
    assert "error: no space left on device" in ran.stderr
    assert "try: df -h" in ran.stderr
    assert "Traceback" not in ran.text
    assert "next:" not in ran.stdout


def test_u6_what_could_not_be_built_is_marked_so(stack_project: Project) -> None:
    """A service whose build fails is ✗ in the table with its reason as the problem, and the others are started."""
    stack_project.write("docker/two/Dockerfile", "FROM scratch\nCOPY no-such-file /x\n")

    ran = Running(stack_project, ("quickstart",), {}).wait()

    assert ran.code == 13, ran.text
    assert marks(ran)["build and push all images"] == "✗"
    (row,) = [line for line in ran.stdout.splitlines() if line.startswith("✗")]
    assert "not built" in row
    assert "no-such-file" in row
    assert [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("✓")] == ["one"]
