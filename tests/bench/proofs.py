"""The cost of what proves a release and carries it: signatures, verification, bills of materials, bundles."""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from build.config.manifest import Manifest
from build.gates.scan import gate
from build.images import store
from tests.bench.publishing import own_registry, six
from tests.bench.timing import Rows, pair
from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.server import Registry
from tests.support.signing import Keys, make_keys
from tests.support.world import World

_LAYER = 40 << 20  # bytes of random content in each of the six images
_MEASURE = """import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_UNSCANNED = {"UC_GATES_DB_REPOSITORY": "none", "UC_GATES_REQUIRE_VULNERABILITIES": "false"}


@contextlib.contextmanager
def _world(manifest: Manifest, folder: Path) -> Iterator[tuple[World, Keys, Registry]]:
    """Six services and a key, and a registry of their own."""
    with own_registry(manifest, folder) as server, contextlib.closing(Hub(server.address)) as hub:
        world = six(worlds.make(folder / "world", "bench", server.address, hub))
        yield world, make_keys(world.clone, folder / "keys"), server


def bench_proofs(manifest: Manifest, rounds: int) -> Rows:
    """Signing and attesting a release of six changed images, and verifying it, in seconds beside the bare release."""
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as name, _world(manifest, Path(name)) as (world, keys, _):
        names = [path.name for path in (world.clone.project.root / "docker").iterdir() if path.is_dir()]

        def release(environment: dict[str, str]) -> float:
            for service in names:
                world.clone.project.write(f"docker/{service}/content", f"{service} {next(numbers)}\n")
            world.clone.share("fix: all")
            return _seconds(world, "release", "--skip-smoke", **_UNSCANNED, **environment)

        a, b, ratio = pair(rounds, lambda: release(keys.signing), lambda: release({}))
        # The last signed release is the one before the last.
        tags = sorted(world.git_tags(), key=lambda tag: [int(part) for part in tag[1:].split(".")])
        newest = next(tag for tag in reversed(tags) if world.signed(tag))
        verified = statistics.median(
            _seconds(world, "verify", newest.removeprefix("v"), **keys.verifying) for _ in range(rounds + 1)
        )
        count = len(world.signed(newest))
    return [
        (f"release of six, {count} signatures", "the same, not signed", f"{a:.2f} s", f"{b:.2f} s", f"{ratio:.2f}", ""),
        ("signed, attested, verified", "", f"{a - b + verified:.2f} s", "", "", "<= 3 s"),
        ("… of that, ./inv verify", "", f"{verified:.2f} s", "", "", ""),
    ]  # fmt: skip


def _seconds(world: World, *arguments: str, **environment: str) -> float:
    started = time.perf_counter()
    ran = world.clone.inv(*arguments, **environment)
    assert ran.code == 0, ran.text
    return time.perf_counter() - started


def bench_bills(manifest: Manifest, rounds: int) -> Rows:
    """The scan of all images with their bills of materials, compared with the scan alone; both with empty caches."""
    images = store.recorded(manifest)
    own = replace(manifest, gates=replace(manifest.gates, db_repository="none", require_vulnerabilities=False))

    def scan(*, bill: bool) -> float:
        subprocess.run(["rm", "-rf", str(manifest.workspace.trivy / "fanal")], check=True)
        started = time.perf_counter()
        gate.scan(own, images, bill=bill)
        return time.perf_counter() - started

    a, b, ratio = pair(rounds, lambda: scan(bill=True), lambda: scan(bill=False))
    return [("scan of all, with SBOMs", "the scan alone", f"{a:.2f} s", f"{b:.2f} s", f"{ratio:.2f}", "<= 1.2")]


def bench_bundle(manifest: Manifest, rounds: int) -> Rows:
    """A bundle of six images of 40 MiB: written, loaded, loaded again; compared with curl copying the same blobs."""
    with tempfile.TemporaryDirectory() as name, _world(manifest, Path(name)) as (world, keys, server):
        folder = Path(name)
        for service in (path for path in (world.clone.project.root / "docker").iterdir() if path.is_dir()):
            (service / "content").write_bytes(os.urandom(_LAYER))
        world.clone.share("feat: large")
        _seconds(world, "release", "--skip-smoke", "--skip-scan", **keys.signing)
        (version,) = (tag.removeprefix("v") for tag in world.git_tags())
        bundle, newer = folder / "bundle.tar", folder / "newer.tar"
        blobs = _blobs(world, version)
        peaks: dict[str, int] = {}

        def inv(what: str, *arguments: str, **environment: str) -> float:
            seconds, peaks[what] = _measured(world, *arguments, **environment)
            return seconds

        write = pair(
            rounds,
            lambda: inv("write", "bundle.write", version, "--out", str(bundle), **keys.signing),
            lambda: _fetch(server.address, blobs, folder / "fetched"),
        )
        world.clone.project.write("docker/one/content", "small\n")
        world.clone.share("fix: one")
        _seconds(world, "release", "--skip-smoke", "--skip-scan", **keys.signing)
        later = max(world.git_tags()).removeprefix("v")
        _seconds(world, "bundle.write", later, "--since", version, "--out", str(newer), **keys.signing)
        sizes = [path.stat().st_size for path in (bundle, newer)]
        load = pair(
            rounds,
            lambda: _at_a_site(
                manifest, folder, lambda site: inv("load", "bundle.load", str(bundle), **_at(site, keys))
            ),
            lambda: _at_a_site(manifest, folder, lambda site: _send(site, folder / "fetched", blobs)),
        )
        again = _at_a_site(
            manifest,
            folder,
            lambda site: _twice(site, lambda: inv("again", "bundle.load", str(bundle), **_at(site, keys))),
        )
    return [
        ("bundle.write of six × 40 MiB", "curl of the same blobs", *_shown(write), "<= 1.3"),
        ("bundle.load", "curl of the same blobs", *_shown(load), "<= 1.3"),
        ("bundle.load again", "", f"{again:.2f} s", "", "", ""),
        ("bundle: size; --since", "", f"{sizes[0] / 1e6:.1f} MB; {sizes[1] / 1e6:.3f} MB", "", "", ""),
        ("peak memory: write, load, again", "", ", ".join(f"{peaks[what] / 1024:.0f} MB" for what in ("write", "load", "again")), "", "", ""),
    ]  # fmt: skip


def _shown(measured: tuple[float, float, float]) -> tuple[str, str, str]:
    a, b, ratio = measured
    return f"{a:.2f} s", f"{b:.2f} s", f"{ratio:.2f}"


def _at(address: str, keys: Keys) -> dict[str, str]:
    return {"UC_REGISTRY_ADDRESS": address, "UC_RELEASE_REMOTE": "", **keys.verifying}


def _measured(world: World, *arguments: str, **environment: str) -> tuple[float, int]:
    """Seconds of a task, and the most memory that its process had, in KiB (getrusage(2), ru_maxrss).

    A small process starts it: what this one has counts for its own children, from before their exec.
    """
    project = world.clone.project
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURE, *project.command(*arguments)],
        cwd=project.root,
        env=project.environment(**world.environment, **environment),
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, peak = done.stdout.splitlines()[-1].split()
    return float(seconds), int(peak)


def _at_a_site(manifest: Manifest, folder: Path, act: Callable[[str], float]) -> float:
    """What `act` measures with the address of a new, empty registry."""
    with tempfile.TemporaryDirectory(dir=folder) as name, own_registry(manifest, Path(name)) as site:
        return act(site.address)


def _twice(_site: str, act: Callable[[], float]) -> float:
    act()
    return act()


def _blobs(world: World, version: str) -> list[tuple[str, str]]:
    """Every layer of the images of a release: repository and digest."""
    blobs = []
    for service in world.record(f"v{version}")["services"]:
        place = f"{world.namespace}/{service}"
        for child in world.hub.manifest(place, version)["manifests"]:
            blobs += [(place, layer["digest"]) for layer in world.hub.manifest(place, child["digest"])["layers"]]
    return blobs


def _fetch(address: str, blobs: list[tuple[str, str]], folder: Path) -> float:
    """Seconds in which one curl fetches the blobs, and sha256sum checks them."""
    folder.mkdir(exist_ok=True)
    parts = [
        ("--output", str(folder / digest[7:]), f"http://{address}/v2/{place}/blobs/{digest}") for place, digest in blobs
    ]
    started = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", *itertools.chain(*parts)], check=True)
    subprocess.run(["sha256sum", *(folder / digest[7:] for _, digest in blobs)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _send(address: str, folder: Path, blobs: list[tuple[str, str]]) -> float:
    """Seconds in which sha256sum checks the blobs, and curl uploads them one by one."""
    started = time.perf_counter()
    subprocess.run(["sha256sum", *(folder / digest[7:] for _, digest in blobs)], check=True, stdout=subprocess.DEVNULL)
    for place, digest in blobs:
        post = [
            "curl",
            "--silent",
            "--fail",
            "--request",
            "POST",
            "--output",
            "/dev/null",
            "--write-out",
            "%header{location}",
        ]
        session = subprocess.run(
            [*post, f"http://{address}/v2/{place}/blobs/uploads/"], check=True, capture_output=True, text=True
        )
        target = f"{session.stdout}&digest={digest}"
        kind = ["--header", "Content-Type: application/octet-stream", "--header", "Expect:"]
        subprocess.run(
            ["curl", "--silent", "--fail", *kind, "--upload-file", str(folder / digest[7:]), target], check=True
        )
    return time.perf_counter() - started
