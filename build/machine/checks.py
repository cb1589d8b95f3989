"""Runs the project's own checks: the sessions of noxfile.py, on a machine that is ready for them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from build import console
from build.config.manifest import Manifest
from build.engine import install
from build.errors import Incomplete
from build.machine import environment, prepare
from build.parallel import together
from build.process import lines, run

# `coverage` runs what `unit` and `git` run.
SESSIONS = (
    "lint", "types", "coverage", "repository", "setup", "services", "docker", "release", "fault", "stack", "smoke",
)  # fmt: skip
_WITHOUT_TEST_PACKAGES = {"services", "smoke", "pins"}
_ON_THE_ENGINE = {"docker", "release", "fault", "stack", "smoke", "bench", "deep"}


def run_tests(manifest: Manifest, sessions: Sequence[str]) -> None:
    """Run the nox sessions, by default SESSIONS; first prepare what they need: test packages, engine, base images.

    Sessions that need the engine run one after the other, and beside them those that don't. Raises Incomplete with the
    names of the sessions that failed; their own output says why.
    """
    selected = sessions or SESSIONS
    if environment.is_active(manifest.root) and set(selected) - _WITHOUT_TEST_PACKAGES:
        environment.ensure_tests(manifest.root)
    on_engine = [name for name in selected if name in _ON_THE_ENGINE]
    others = [name for name in selected if name not in _ON_THE_ENGINE]
    if on_engine:
        install.ensure(manifest.tools, os.environ, yes=False, interactive=sys.stdin.isatty())

    def run_on_engine() -> list[str]:
        prepare.base_images(manifest)  # before the tests, whose time limits it would exceed
        return _failed(manifest, on_engine, label="engine" if others else "")

    if on_engine and others:
        first, second = together([lambda: _failed(manifest, others, label="no engine"), run_on_engine])
        failed = first + second
    else:
        failed = run_on_engine() if on_engine else _failed(manifest, others)
    if failed:
        message = f"{len(failed)} of the sessions failed: {', '.join(failed)}"
        raise Incomplete(message, hint="./inv test --session NAME runs one again")


def _failed(manifest: Manifest, sessions: Sequence[str], *, label: str = "") -> list[str]:
    """Run the sessions one after the other, each of their lines behind the label; return those that failed."""
    report = manifest.workspace.reports / f"nox-{sessions[0]}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "nox", "--noxfile", str(manifest.root / "noxfile.py"), "--report", str(report)]
    argv += ["--sessions", *sessions]
    if label:
        for line in lines(argv, cwd=manifest.root, ok_codes=range(256)):
            console.passthrough(f"{label} | {line}")
    else:
        run(argv, cwd=manifest.root, capture=False, ok_codes=range(256))
    if not report.exists():
        raise Incomplete("nox ended before its first session; its output says why", hint=".venv/bin/nox --list")
    results = json.loads(report.read_text(encoding="utf-8"))["sessions"]
    return [result["name"] for result in results if result["result"] in {"failed", "aborted"}]
