"""`nox -s bench`: ratios to a bare tool or a peer, measured in one run with interleaved rounds (A B A B …), as medians.

usage: run.py [--rounds N] [--only NAME,…] [--json FILE] [--seconds N] [--minutes N]
build, ps, up, scan, size, envelope, publish and bills need the six images (./inv build --push); ps needs the stack (./inv up)
services, stops and endurance run the services' programs without Docker, in the venvs of ./inv test --session services
endurance takes more than ten minutes (--minutes), so it runs only when --only names it; all others do by default
Nothing is asserted: the figures depend on the machine; the ratios are comparable.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from build import console, json_file
from build.config.load import load
from build.config.manifest import Manifest
from build.engine import client as docker
from build.images import store
from build.registry.client import answers
from tests.bench.deploys import bench_deploy, bench_swarm
from tests.bench.endurance import measure_endurance
from tests.bench.inputs import bench_inputs
from tests.bench.powershell import bench_envelope
from tests.bench.proofs import bench_bills, bench_bundle, bench_proofs
from tests.bench.publishing import bench_publish, bench_release
from tests.bench.services import measure_services
from tests.bench.stops import measure_stops
from tests.bench.terminal import bench_ps, bench_terminal
from tests.bench.timing import INV, ROOT, Options, Rows, Table, pair, timed
from tests.bench.versions import bench_versions

BUILD_STAGE = {
    "powershell-modules": "check",
    "langgraph-api": "build",
    "autogen-groupchat": "build",
    "docs-server": "pack",
    "mcp-servers": "build",
    "monitoring": "build",
}


def bench_build(manifest: Manifest, rounds: int) -> Rows:
    """A build with nothing to do, compared with buildx on the same file with everything cached."""
    definition = manifest.workspace.root / "bench-bake.json"
    subprocess.run([*INV, "build"], cwd=ROOT, check=True, capture_output=True)  # the bases are known from here on
    shown = subprocess.run([*INV, "build", "--print"], cwd=ROOT, check=True, capture_output=True, text=True)
    model = json.loads(shown.stdout)
    for target in model["target"].values():
        target["tags"] = [
            f"bench.invalid/{tag.rpartition('/')[2].partition(':')[0]}:bench" for tag in target.get("tags", [])
        ]
    json_file.write(definition, model)
    raw = [docker.docker(), "buildx", "bake", "--file", str(definition)]
    a, b, ratio = pair(rounds, lambda: timed([*INV, "build"]), lambda: timed(raw))
    subprocess.run(
        [docker.docker(), "rmi", "--force", *[f"bench.invalid/{name}:bench" for name in manifest.services]],
        check=False,
        capture_output=True,
    )
    return [("no-op build", "docker buildx bake, cached", f"{a:.2f} s", f"{b:.2f} s", f"{ratio:.2f}", "<= 1.15")]


def bench_up(manifest: Manifest, rounds: int) -> Rows:
    """From nothing to every service healthy, compared with Compose without waiting for health."""

    def down() -> None:
        subprocess.run([*INV, "down"], cwd=ROOT, check=True, capture_output=True)

    peer = [docker.docker(), "compose", "--file", str(manifest.workspace.compose), "up", "--detach"]
    a, b, ratio = pair(rounds, lambda: timed([*INV, "up"], before=down), lambda: timed(peer, before=down))
    down()
    return [("up until all are healthy", "docker compose up -d", f"{a:.2f} s", f"{b:.2f} s", f"{ratio:.2f}", "<= 1.7")]


def bench_scan(manifest: Manifest, rounds: int) -> Rows:
    """A scan of all images, with and without its caches."""
    cache = manifest.workspace.trivy

    def empty() -> None:
        shutil.rmtree(cache / "fanal", ignore_errors=True)

    def scan() -> float:
        started = time.perf_counter()
        subprocess.run([*INV, "scan"], cwd=ROOT, check=False, capture_output=True)
        return time.perf_counter() - started

    def cold() -> float:
        empty()
        return scan()

    a, b, ratio = pair(max(1, rounds // 2), cold, scan)
    return [("scan of all, cold", "the same, warm", f"{a:.2f} s", f"{b:.2f} s", f"{ratio:.2f}", "")]


def bench_size(manifest: Manifest, _rounds: int) -> Rows:
    """Each image, compared with its build stage: the same application in a single stage on the same base."""
    recorded = store.recorded(manifest)
    shown = subprocess.run([*INV, "build", "--print"], cwd=ROOT, check=True, capture_output=True, text=True)
    model = json.loads(shown.stdout)
    names = [name for name in recorded if name in BUILD_STAGE]
    for name in names:
        model["target"][name] |= {"target": BUILD_STAGE[name], "tags": [f"bench.invalid/{name}:one-stage"]}
    definition = manifest.workspace.root / "bench-bake.json"
    json_file.write(definition, model)
    docker.cli("buildx", "bake", "--file", str(definition), *names)
    rows: Rows = []
    for name in names:
        one = int(docker.cli("image", "inspect", "--format", "{{.Size}}", f"bench.invalid/{name}:one-stage").stdout)
        size = recorded[name].size
        assert size is not None
        rows.append(
            (
                f"size of {name}",
                f"its stage '{BUILD_STAGE[name]}'",
                f"{size / 1e6:.0f} MB",
                f"{one / 1e6:.0f} MB",
                f"{size / one:.2f}",
                "",
            )
        )
    docker.cli("rmi", "--force", *[f"bench.invalid/{name}:one-stage" for name in names])
    return rows


BENCHES = {
    "build": bench_build,
    "terminal": bench_terminal,
    "ps": bench_ps,
    "up": bench_up,
    "scan": bench_scan,
    "size": bench_size,
    "envelope": bench_envelope,
    "inputs": bench_inputs,
    "versions": bench_versions,
    "publish": bench_publish,
    "release": bench_release,
    "proofs": bench_proofs,
    "bills": bench_bills,
    "bundle": bench_bundle,
    "deploy": bench_deploy,
    "swarm": bench_swarm,
}
# What has no peer has a table of its own.
MEASURES: dict[str, Callable[[Manifest, Options], Table]] = {
    "services": measure_services,
    "stops": measure_stops,
    "endurance": measure_endurance,
}
_WITH_IMAGES = {"build", "ps", "up", "scan", "size", "envelope", "publish", "bills"}


def main() -> None:
    """Run the chosen benchmarks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(name for name in (*BENCHES, *MEASURES) if name != "endurance"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=15, help="of each load of services")
    parser.add_argument("--minutes", type=float, default=10, help="of endurance")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := set(names) - BENCHES.keys() - MEASURES.keys():
        parser.error(f"--only has no {', '.join(sorted(unknown))}; it has {', '.join([*BENCHES, *MEASURES])}")
    manifest = load(ROOT, {})
    if _WITH_IMAGES & set(names) and not answers(manifest):
        console.warn("the registry does not answer: ./inv registry.up && ./inv build --push")
    options = Options(chosen.rounds, chosen.seconds, chosen.minutes)
    rows: Rows = []
    tables: list[Table] = []
    for name in names:
        with console.step(name):
            if name in MEASURES:
                tables.append(MEASURES[name](manifest, options))
            else:
                rows += BENCHES[name](manifest, options.rounds)
    if rows:
        tables.insert(0, (("what", "beside", "ours", "theirs", "ratio", "target"), rows))
    for headings, measured in tables:
        console.table(headings, measured)
    if chosen.json:
        json_file.write(chosen.json, {"rows": rows})


if __name__ == "__main__":
    main()
