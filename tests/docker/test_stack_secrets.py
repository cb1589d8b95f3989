"""Runtime secrets on the real engine: what stops `up`, who may read the files, and how a rotation reaches a container."""

from __future__ import annotations

import os
import subprocess

from build.engine import client as docker
from build.stack import sandbox, secrets
from tests.support.project import Project


def test_a_missing_secret_stops_up(stack_project: Project) -> None:
    """`up` refuses to start without a secret file, and says how to create it."""
    assert stack_project.inv("build").code == 0

    ran = stack_project.inv("up")

    assert ran.code == 11
    assert "secret alpha" in ran.stderr
    assert "is missing" in ran.stderr
    assert "./inv secrets.init" in ran.stderr


def test_an_empty_secret_stops_up(built: Project) -> None:
    """A random secret that is empty is a mistake, not an offline mode."""
    path = built.load().workspace.secrets / "alpha"
    path.chmod(0o600)
    path.write_text("")

    ran = built.inv("up")

    assert ran.code == 11
    assert "is empty" in ran.stderr


def test_a_world_readable_secret_stops_up(built: Project) -> None:
    """A secret that everybody on the host can read is refused with the chmod that fixes it."""
    path = built.load().workspace.secrets / "alpha"
    path.chmod(0o444)
    path.parent.chmod(0o755)

    ran = built.inv("up")

    assert ran.code == 11
    assert "readable by everyone" in ran.stderr
    assert "chmod" in ran.stderr


def test_secrets_init_never_overwrites(built: Project) -> None:
    """A second init keeps every value."""
    path = built.load().workspace.secrets / "alpha"
    before = path.read_text()

    ran = built.inv("secrets.init", "--json")

    assert ran.result == {"alpha": "kept"}
    assert path.read_text() == before


def test_a_secret_file_is_for_the_service_user_alone(built: Project) -> None:
    """The file belongs to the containers' user, mode 0400, in a folder nobody else enters."""
    path = built.load().workspace.secrets / "alpha"

    assert path.parent.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (10001, 0o400)


def test_rotation_is_seen_by_the_running_container(built: Project) -> None:
    """A renewed secret is in the container at once, without a restart, with the old value as its second line."""
    assert built.inv("up").code == 0
    before = secrets.value(built.load(), "alpha")
    assert built.inv("secrets.rotate", "--name", "alpha").code == 0

    container = f"{built.load().project.name}-one-1"
    seen = docker.cli("exec", container, "cat", "/run/secrets/alpha").stdout.split()

    assert seen == [secrets.value(built.load(), "alpha"), before]
    assert seen[0] != before


def test_secrets_of_a_sandbox_that_was_killed_early_are_removed(stack_project: Project) -> None:
    """A release that was killed before its first container leaves a folder and no object of the engine: it goes, too."""
    with subprocess.Popen(["true"]) as gone:
        pass
    left = stack_project.write(f".uc/sandbox-{gone.pid}/secrets/alpha", "a secret\n")

    with sandbox.of(stack_project.load()):
        assert not left.parent.parent.exists()
