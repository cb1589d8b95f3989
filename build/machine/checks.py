"""Runs the project's own checks: the sessions of noxfile.py, on a machine that is ready for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from build.config.manifest import Manifest
from build.engine import install
from build.errors import Incomplete
from build.machine import environment, prepare
from build.process import run

# `coverage` runs what `unit` and `git` run.
SESSIONS = ("lint", "types", "coverage", "setup", "services", "docker", "release", "fault", "stack", "smoke")
_WITHOUT_TEST_PACKAGES = {"services", "smoke", "pins"}
_ON_THE_ENGINE = {"docker", "release", "fault", "stack", "smoke", "bench", "deep"}


def run_tests(manifest: Manifest, sessions: Sequence[str]) -> None:
    """Run the nox sessions, by default SESSIONS; first prepare what they need: test packages, engine, base images.

    Raises Incomplete when a session fails; its own output says why.
    """
    selected = sessions or SESSIONS
    if environment.is_active(manifest.root) and set(selected) - _WITHOUT_TEST_PACKAGES:
        environment.ensure_tests(manifest.root)
    if _ON_THE_ENGINE & set(selected):
        install.ensure(manifest.tools, os.environ, yes=False, interactive=sys.stdin.isatty())
        prepare.base_images(manifest)  # before the tests, whose time limits it would exceed
    argv = [sys.executable, "-m", "nox", "--noxfile", str(manifest.root / "noxfile.py"), "--sessions", *selected]
    outcome = run(argv, cwd=manifest.root, capture=False, ok_codes=range(256))
    if outcome.returncode:
        message = f"nox: a session failed (exit code {outcome.returncode})"
        raise Incomplete(message, hint="./inv test --session NAME runs one again")
