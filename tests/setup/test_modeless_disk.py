"""Secrets of a checkout on a disk without file modes, such as /mnt/c in WSL: on a real one (tests/support/modeless.py)."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.machine import own_namespaces
from tests.support.project import REPOSITORY, Project, Ran, make_empty

SERVICE = {"secrets": '["alpha", "beta"]'}
# What `up` asks of the secrets, and what the doctor says of them.
USE = """
import os
from pathlib import Path
from build.config.load import load
from build.machine import supply_checks
from build.stack import secrets
manifest = load(Path.cwd(), os.environ)
secrets.check(manifest, ["alpha"])
secrets.rotate(manifest, "alpha")
print(len(secrets.value(manifest, "alpha")), secrets.value(manifest, "beta"))
print(supply_checks.runtime_secrets(manifest))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """A project with a service that has two secrets, one of them filled in by a person."""
    project = make_empty(tmp_path / "project")
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace('alpha = "random"', 'alpha = "random"\nbeta = "external"'))
    project.service("hello", 8000, **SERVICE)
    project.write(".uc/secrets/beta", "my-key\n")
    return project


def on_the_disk(checkout: Project, home: Path, *commands: list[str]) -> Ran:
    """Copy the project to a disk without modes, and run the commands in it until one fails."""
    disk = checkout.root.parent / "disk"
    disk.mkdir()
    steps = [["cp", "-r", str(checkout.root), str(disk / "project")], ["cd", str(disk / "project")], *commands]
    argv = [*own_namespaces(), sys.executable, "-m", "tests.support.modeless", str(disk)]
    done = subprocess.run(
        [*argv, "sh", "-c", " && ".join(map(shlex.join, steps))], cwd=REPOSITORY, capture_output=True, text=True,
        env=checkout.environment(HOME=str(home), XDG_STATE_HOME=""), timeout=120, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def test_w2_secrets_are_elsewhere_and_closed(checkout: Project, tmp_path: Path) -> None:
    """They are files of one user below the home, which `up` accepts, rotates and names; what was filled in moves along."""
    home = tmp_path / "home"

    ran = on_the_disk(checkout, home, checkout.command("secrets.init"), [sys.executable, "-c", USE])

    assert ran.code == 0, ran.text
    (folder,) = (home / ".local" / "state" / checkout.load().project.name).iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} <= {0o400, 0o444}
    assert sorted(path.name for path in folder.iterdir()) == ["alpha", "beta"]
    assert f"secrets are in {folder}: the disk of " in ran.stderr
    assert "43 my-key" in ran.stdout
    assert f"2 files in {folder}, because this disk keeps no file modes" in ran.stdout


def test_w2_no_disk_with_modes_is_a_refusal(checkout: Project, tmp_path: Path) -> None:
    """Where the home keeps no modes either, secrets are not written, and the message names both places."""
    home = tmp_path / "disk" / "home"

    ran = on_the_disk(checkout, home, checkout.command("secrets.init"))

    assert ran.code == 11
    assert "keeps file modes: anybody could read secrets" in ran.stderr
    assert "XDG_STATE_HOME" in ran.stderr
