"""Runs the project's own checks: the sessions of noxfile.py, on a machine that is ready for them."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from build import console
from build.config.manifest import Manifest
from build.engine import install
from build.errors import Incomplete
from build.machine import environment, prepare
from build.parallel import together
from build.process import lines, run

# `coverage` runs what `unit` and `git` run.
SESSIONS = (
    "lint", "types", "coverage", "repository", "setup", "services", "docker", "release", "fault", "deploy", "stack",
    "owner", "smoke",
)  # fmt: skip
# Those that run side by side, in the order in which they begin, the longest first: one session alone leaves almost half
# of two cores idle. The others come last, alone.
_BESIDE = (
    "deploy", "release", "docker", "fault", "stack", "services", "owner", "setup", "coverage", "unit", "git", "lint",
    "types", "repository",
)  # fmt: skip
_LANES = 3
_WITHOUT_TEST_PACKAGES = {"services", "smoke", "pins"}
_ON_THE_ENGINE = {
    "docker", "release", "fault", "deploy", "stack", "owner", "smoke", "bench", "deep", "reproducible", "canary",
}  # fmt: skip
_BEGINS = "nox > Running session "
_LIST = ".venv/bin/nox --list"
_FAILED = {"failed", "aborted"}  # results of a session in the report of nox
_REASON = 160  # characters of a failed test's reason


def run_tests(manifest: Manifest, sessions: Sequence[str]) -> None:
    """Run the nox sessions, by default SESSIONS; first prepare what they need: test packages, engine, base images.

    What can run side by side does. Raises Incomplete with the names of the sessions and the tests that failed; their
    own output says more.
    """
    selected = sessions or SESSIONS
    if environment.is_active(manifest.root) and set(selected) - _WITHOUT_TEST_PACKAGES:
        environment.ensure_tests(manifest.root)
    if _ON_THE_ENGINE & set(selected):
        install.ensure(manifest.tools, os.environ, yes=False, interactive=sys.stdin.isatty())
    checks = _Checks(manifest)
    order = sorted(selected, key=lambda name: _BESIDE.index(name) if name in _BESIDE else len(_BESIDE))
    sessions = checks.expand(order) if order[1:] or order == ["services"] else order
    beside = [session for session in sessions if _name(session) in _BESIDE]
    last = [session for session in sessions if _name(session) not in _BESIDE]
    began = time.time()
    waiting = deque(beside)
    labelled = len(beside) > 1 or console.collects()  # with --json stdout is the document's alone
    lanes = [partial(checks.run, waiting, labelled=labelled) for _ in range(min(_LANES, len(beside)))]
    results = {name: result for ended in together(lanes) for name, result in ended.items()}
    results |= checks.run(deque(last), labelled=console.collects())
    failed = [name for name, result in results.items() if result in _FAILED]
    tests = list(_failed_tests(manifest.workspace.reports, began)) if failed else []
    if console.collects():
        console.result({"sessions": results, "failed_tests": tests})
    if failed:
        message = f"{len(failed)} of the sessions failed: {', '.join(failed)}"
        raise Incomplete(message, hint="./inv test --session NAME runs one again", output="\n".join(tests))


def _name(session: str) -> str:
    """The name of a session without its parameters."""
    return session.partition("(")[0]


def _failed_tests(reports: Path, since: float) -> Iterator[str]:
    """One line for each test that failed, from the JUnit reports that are newer than `since`, seconds of the epoch."""
    for report in sorted(reports.glob("*.xml")):
        if report.stat().st_mtime < since:
            continue
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  (our own)
            for problem in (*case.iterfind("failure"), *case.iterfind("error")):
                reason = (problem.get("message") or "").partition("\n")[0][:_REASON]
                yield f"{report.stem}: {case.get('classname')}::{case.get('name')}: {reason}"


class _Checks:
    """Runs of nox, which share the base images."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._nox = [sys.executable, "-m", "nox", "--noxfile", str(manifest.root / "noxfile.py")]
        self._preparing = threading.Lock()
        self._prepared = False

    def expand(self, sessions: Sequence[str]) -> list[str]:
        """The sessions as nox runs them: `services` is one for each service. Raises Incomplete for an unknown name."""
        argv = [*self._nox, "--list", "--json", "--sessions", *sessions]
        listed = run(argv, cwd=self._manifest.root, ok_codes=range(256))
        if listed.returncode:
            raise Incomplete("nox refuses these sessions", hint=_LIST, output=listed.stderr)
        found = json.loads(listed.stdout)
        return [entry["session"] for name in sessions for entry in found if name in {entry["name"], entry["session"]}]

    def run(self, waiting: deque[str], *, labelled: bool) -> dict[str, str]:
        """Run one session after the other until none is waiting; return what nox says of each.

        If `labelled`, each line is behind the name of its session, and on stderr.
        """
        results: dict[str, str] = {}
        while True:
            try:
                session = waiting.popleft()
            except IndexError:
                return results
            if _name(session) in _ON_THE_ENGINE:
                with self._preparing:
                    if not self._prepared:
                        prepare.base_images(self._manifest)  # before the tests, whose time limits it would exceed
                    self._prepared = True
            results |= self._run(session, labelled=labelled)

    def _run(self, session: str, *, labelled: bool) -> dict[str, str]:
        """Run a session, which nox may know as several of one name; return the result of each."""
        report = self._manifest.workspace.reports / f"nox-{re.sub(r'[^A-Za-z0-9]+', '-', session).strip('-')}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        argv = [*self._nox, "--report", str(report), "--sessions", session]
        if labelled:
            shown = session
            for line in lines(argv, cwd=self._manifest.root, ok_codes=range(256)):
                shown = line.removeprefix(_BEGINS) if line.startswith(_BEGINS) else shown
                console.passthrough(f"{shown} | {line}")
        else:
            run(argv, cwd=self._manifest.root, capture=False, ok_codes=range(256))
        if not report.exists():
            raise Incomplete("nox ended before its first session; its output says why", hint=_LIST)
        results = json.loads(report.read_text(encoding="utf-8"))["sessions"]
        return {result["signatures"][0]: result["result"] for result in results}
