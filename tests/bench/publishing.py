"""The cost of publishing: tags compared with `imagetools create`, and a one-of-six release with the minimum."""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from build.config.manifest import Manifest
from build.engine import client as docker
from build.images import bases
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release import candidates, publish
from build.release.candidates import Candidate
from tests.bench.timing import Rows, milliseconds, pair
from tests.support import world as worlds
from tests.support.engine import take_registry_program
from tests.support.hub import Hub
from tests.support.images import exported
from tests.support.proxy import Proxy
from tests.support.server import Registry, free_address
from tests.support.world import World

NAMESPACE = "bench"
IMAGES = [f"service-{number}" for number in range(6)]
HOST = "127.77.0.1"


@contextlib.contextmanager
def own_registry(manifest: Manifest, folder: Path) -> Iterator[Registry]:
    """A separate registry process for a benchmark."""
    resolved, reasons = bases.resolve(manifest, ["registry"])
    assert not reasons, reasons
    program = take_registry_program(resolved["registry"].context.removeprefix("docker-image://"), folder)
    made = Registry(program, folder, free_address(HOST), folder / "storage")
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _staged(registry: RegistryClient, home: str, folder: Path) -> dict[str, Candidate]:
    """Six small images with provenance, in the registry by digest only."""
    exports = {}
    for name in IMAGES:
        context, layout = folder / name, folder / f"{name}.oci"
        context.mkdir()
        (context / "content").write_text(name)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY content /content\n")
        argv = [docker.docker(), "buildx", "build", "--quiet", "--provenance", "mode=min"]
        subprocess.run([*argv, "--output", f"type=oci,dest={layout},tar=false", str(context)], check=True, capture_output=True)  # fmt: skip
        exports[name] = exported(home, name, layout)
    return candidates.push(registry, exports)


def _tag_all(registry: RegistryClient, staged: Mapping[str, Candidate], tags: tuple[str, str]) -> float:
    """Seconds to point both tags at every image as a release does: look up, write, read back."""
    started = time.perf_counter()
    wanted = [(name, tag) for name in staged for tag in tags]
    at_once(lambda one: publish.pin(registry, f"{NAMESPACE}/{one[0]}", one[1], staged[one[0]].stored), wanted)
    return time.perf_counter() - started


def _imagetools(address: str, staged: Mapping[str, Candidate], tags: tuple[str, str]) -> float:
    """Seconds of `docker buildx imagetools create` with both tags, one image after another."""
    started = time.perf_counter()
    for name, one in staged.items():
        image = f"{address}/{NAMESPACE}/{name}"
        names = [part for tag in tags for part in ("--tag", f"{image}:{tag}")]
        argv = [docker.docker(), "buildx", "imagetools", "create", *names, f"{image}@{one.stored.digest}"]
        subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - started


def bench_publish(manifest: Manifest, rounds: int) -> Rows:
    """Six staged images × two tags, compared with sequential imagetools; and the requests for each tag."""
    with tempfile.TemporaryDirectory() as name, own_registry(manifest, Path(name)) as server:
        own = replace(manifest, registry=replace(manifest.registry, address=server.address))
        numbers = itertools.count(1)

        def tags() -> tuple[str, str]:
            number = next(numbers)
            return f"{number}.0.0", f"{number}.0"

        with RegistryClient(own) as registry:
            staged = _staged(registry, f"{server.address}/{NAMESPACE}", Path(name))
            a, b, ratio = pair(
                rounds,
                lambda: _tag_all(registry, staged, tags()),
                lambda: _imagetools(server.address, staged, tags()),
            )
        with Proxy(free_address(HOST), server.address) as proxy:
            through = replace(manifest, registry=replace(manifest.registry, address=proxy.address))
            with RegistryClient(through) as registry:
                _tag_all(registry, staged, tags())
                asked, put = proxy.count("^(HEAD|GET) "), proxy.count("^PUT ")
                proxy.heal()
                _tag_all(registry, staged, tags())
    count = 2 * len(IMAGES)
    return [
        ("6 images × 2 tags", "imagetools create, in sequence", milliseconds(a), milliseconds(b), f"{ratio:.2f}", "<= 0.3"),
        ("its requests a tag: read, put", "one GET, one PUT, one read back", f"{asked / count:.1f}, {put / count:.1f}", "2, 1", "", ""),
    ]  # fmt: skip


def six(world: World) -> World:
    """The world with six services."""
    project = world.clone.project
    for number in range(4):
        name = f"more-{number}"
        project.service(name, 18990 + number, "FROM scratch\nCOPY content /content\n")
        project.write(f"docker/{name}/content", f"{name}\n")
    # The tables of services come after [release].
    project.commit("feat: six")
    project.git("push", "--quiet", "origin", "main")
    return world


def _least(proxy: Proxy, services: int) -> tuple[int, int]:
    """The minimum of write requests and bytes for what was sent: each new blob, manifest and tag once."""
    blobs = {
        re.search(r"sha256[:%][^&]*", one.path): one for one in proxy.seen if re.match("PUT .*/uploads/", str(one))
    }
    manifests = {
        one.path: one for one in proxy.seen if re.match("PUT .*/manifests/", str(one)) and "uc-probe" not in one.path
    }
    requests = 2 * len(blobs) + len(manifests)
    return requests, sum(one.size for one in (*blobs.values(), *manifests.values()))


def bench_release(manifest: Manifest, _rounds: int) -> Rows:
    """Requests and bytes of a release in which one of six images changed, compared with the minimum."""
    with tempfile.TemporaryDirectory() as name, own_registry(manifest, Path(name)) as server:
        hub = Hub(server.address)
        with contextlib.closing(hub), Proxy(free_address(HOST), server.address) as proxy:
            world = six(worlds.make(Path(name) / "world", NAMESPACE, proxy.address, hub))
            first = world.clone.release()
            assert first.code == 0, first.text
            world.clone.commit("one")
            proxy.heal()
            second = world.clone.release()
            assert second.code == 0, second.text
            least, least_bytes = _least(proxy, 6)
            written = proxy.count("^(POST|PUT|PATCH|DELETE) ")
            unchanged = proxy.count(
                r"^(POST|PUT) .*/(two|more-\d)/(blobs/uploads/\?(mount=.*/one |digest)|manifests/sha256)"
            )
            read = proxy.count("^(HEAD|GET) ")
            sent = proxy.sent("^(POST|PUT|PATCH) ")
    return [
        ("one of six changed: writes", "the least", f"{written}", f"{least}", f"{written / least:.2f}", ""),
        ("… bytes sent", "the least", f"{sent / 1e3:.1f} kB", f"{least_bytes / 1e3:.1f} kB", f"{sent / least_bytes:.2f}", ""),
        ("… reads", "", f"{read}", "", "", ""),
        ("… uploads or mounts of the other five", "none", f"{unchanged}", "0", "", "0"),
    ]  # fmt: skip
