"""Runs the project's own checks: the sessions of noxfile.py, on a machine that is ready for them."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial

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
# Lanes run side by side: one session alone leaves almost half of two cores idle. Sessions in none come last, alone:
# they look at the engine as a whole.
_LANES = (
    {"lint", "types", "coverage", "unit", "git", "repository", "services"}, {"setup", "docker"}, {"release", "fault"},
)  # fmt: skip
_WITHOUT_TEST_PACKAGES = {"services", "smoke", "pins"}
_ON_THE_ENGINE = {"docker", "release", "fault", "stack", "smoke", "bench", "deep"}
_BEGINS = "nox > Running session "
_LIST = ".venv/bin/nox --list"


def run_tests(manifest: Manifest, sessions: Sequence[str]) -> None:
    """Run the nox sessions, by default SESSIONS; first prepare what they need: test packages, engine, base images.

    What can run side by side does. Raises Incomplete with the names of the sessions that failed; their own output says
    why.
    """
    selected = sessions or SESSIONS
    if environment.is_active(manifest.root) and set(selected) - _WITHOUT_TEST_PACKAGES:
        environment.ensure_tests(manifest.root)
    if _ON_THE_ENGINE & set(selected):
        install.ensure(manifest.tools, os.environ, yes=False, interactive=sys.stdin.isatty())
    lanes = [lane for names in _LANES if (lane := [name for name in selected if name in names])]
    last = [name for name in selected if not any(name in names for names in _LANES)]
    checks = _Checks(manifest)
    if len(lanes) + bool(last) > 1:
        checks.require(selected)
    beside = [partial(checks.run, lane, labelled=len(lanes) > 1) for lane in lanes]
    failed = [name for names in together(beside) for name in names] + checks.run(last, labelled=False)
    if failed:
        message = f"{len(failed)} of the sessions failed: {', '.join(failed)}"
        raise Incomplete(message, hint="./inv test --session NAME runs one again")


class _Checks:
    """Runs of nox, which share the base images."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._nox = [sys.executable, "-m", "nox", "--noxfile", str(manifest.root / "noxfile.py")]
        self._preparing = threading.Lock()
        self._prepared = False

    def require(self, sessions: Sequence[str]) -> None:
        """Check all names before the first session runs. Raises Incomplete when nox does not know one."""
        listed = run([*self._nox, "--list", "--sessions", *sessions], cwd=self._manifest.root, ok_codes=range(256))
        if listed.returncode:
            raise Incomplete("nox refuses these sessions", hint=_LIST, output=listed.stderr)

    def run(self, sessions: Sequence[str], *, labelled: bool) -> list[str]:
        """Run the sessions one after the other, those on the engine last; return those that failed.

        Each line is behind the name of its session, if `labelled`.
        """
        failed = self._run([name for name in sessions if name not in _ON_THE_ENGINE], labelled=labelled)
        if on_engine := [name for name in sessions if name in _ON_THE_ENGINE]:
            with self._preparing:
                if not self._prepared:
                    prepare.base_images(self._manifest)  # before the tests, whose time limits it would exceed
                self._prepared = True
            failed += self._run(on_engine, labelled=labelled)
        return failed

    def _run(self, sessions: Sequence[str], *, labelled: bool) -> list[str]:
        if not sessions:
            return []
        report = self._manifest.workspace.reports / f"nox-{sessions[0]}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        argv = [*self._nox, "--report", str(report), "--sessions", *sessions]
        if labelled:
            session = sessions[0]
            for line in lines(argv, cwd=self._manifest.root, ok_codes=range(256)):
                session = line.removeprefix(_BEGINS) if line.startswith(_BEGINS) else session
                console.passthrough(f"{session} | {line}")
        else:
            run(argv, cwd=self._manifest.root, capture=False, ok_codes=range(256))
        if not report.exists():
            raise Incomplete("nox ended before its first session; its output says why", hint=_LIST)
        results = json.loads(report.read_text(encoding="utf-8"))["sessions"]
        return [result["name"] for result in results if result["result"] in {"failed", "aborted"}]
