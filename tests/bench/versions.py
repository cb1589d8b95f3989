"""Versions from git, on generated repositories of 100,000 commits, compared with plain git commands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from build.config.manifest import Manifest, Service
from build.git import next_versions
from tests.bench.histories import SERVICES, environment, repository
from tests.bench.timing import INV, Rows, milliseconds, pair, timed

COMMITS = 100_000
_MAIN_LINE = 90_000  # the greatest distance of the nearest tag
_LOG_SINCE = "tag=$(git describe --tags --abbrev=0 --match 'v*') && git log $tag..HEAD"
_EACH_LOG_SINCE = (
    f"for s in {' '.join(SERVICES)}; do "
    "tag=$(git describe --tags --abbrev=0 --match \"$s/v*\") && git log $tag..HEAD -- $s || exit 1; done"
)  # fmt: skip
NEAR = (30, 60, 90, 120, 150, 180)
FAR = (50, 200, 1_000, 3_000, 8_000, 20_000)


def bench_versions(manifest: Manifest, rounds: int) -> Rows:
    """The library call behind `invoke version`, and the task as a process."""
    folder = manifest.workspace.root / "bench"
    rounds = max(rounds, 9)
    cases: list[tuple[str, dict[str, int], bool, str, str]] = [
        ("2,000 tags, last 50 back", _spread("v", 2_000, 50), False, _LOG_SINCE, "<= 1.2"),
        ("2,000 tags, last 20,000 back", _spread("v", 2_000, 20_000), False, _LOG_SINCE, "<= 1.0"),
        ("12,000 tags, last 50 back", _spread("v", 12_000, 50), False, "git describe --tags", "<= 0.4"),
        ("six lines, last 30 to 180 back", _each(NEAR), True, _EACH_LOG_SINCE, "<= 0.5"),
        ("six lines, last 50 to 20,000 back", _each(FAR), True, _EACH_LOG_SINCE, "<= 0.5"),
    ]
    rows: Rows = []
    for number, (what, tags, independent, script, target) in enumerate(cases):
        root = repository(folder, f"versions-{number}", COMMITS, tags)
        ours = _library(_project(manifest, root, independent=independent))
        a, b, ratio = pair(rounds, ours, _shell(script, root))
        peer = {_LOG_SINCE: "sh: describe; log", _EACH_LOG_SINCE: "sh: six of them"}.get(script, script)
        rows.append((f"version: {what}", peer, milliseconds(a), milliseconds(b), f"{ratio:.2f}", target))
    library = _library(manifest)
    a, b, ratio = pair(
        rounds, lambda: timed([*INV, "version"]), lambda: library() + 1.3 * timed([*INV, "--list"])
    )  # fmt: skip
    rows.append(
        ("invoke version", "the call + 1.3 x --list", milliseconds(a), milliseconds(b), f"{ratio:.2f}", "<= 1.0")
    )
    return rows


def _spread(prefix: str, count: int, nearest: int) -> dict[str, int]:
    """`count` versions at even distances, the highest `nearest` commits back."""
    step = (_MAIN_LINE - nearest) // count
    return {f"{prefix}1.{n // 20}.{n % 20}": nearest + (count - 1 - n) * step for n in range(count)}


def _each(nearest: tuple[int, ...]) -> dict[str, int]:
    """330 tags for each service, its highest so far back."""
    tags: dict[str, int] = {}
    for service, back in zip(SERVICES, nearest, strict=True):
        tags |= _spread(f"{service}/v", 330, back)
    return tags


def _project(manifest: Manifest, root: Path, *, independent: bool) -> Manifest:
    """A manifest of the six generated services."""
    services = {name: Service(folder=name, description=name, port=8000 + n) for n, name in enumerate(SERVICES)}
    mode = dataclasses.replace(manifest.release, mode="independent" if independent else "lockstep")
    return dataclasses.replace(manifest, root=root, services=services, stages={}, release=mode)


def _library(manifest: Manifest) -> Callable[[], float]:
    def call() -> float:
        started = time.perf_counter()
        next_versions.read(manifest)
        return time.perf_counter() - started

    return call


def _shell(script: str, root: Path) -> Callable[[], float]:
    return lambda: timed(["sh", "-c", script], cwd=root, env=environment())
