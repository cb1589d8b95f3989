"""Releases of a small image, which a node has within a second: a server of a few lines of perl, for every service."""

from __future__ import annotations

import json
from collections.abc import Collection

from tests.support.deploying import FIRST, SERVICES, Releases
from tests.support.hub import Hub
from tests.support.nodes import Nodes
from tests.support.spoiled import spoiled

# It ends between two requests, never within one.
_SERVER = r"""
$SIG{TERM} = sub { $over = 1 };
socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, pack("S n x12", 2, 8000)) and listen(S, 128) or die $!;
until ($over) {
    next unless accept(C, S);
    sysread(C, $_, 4096);
    syswrite(C, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"status\": \"healthy\"}");
    close C;
}
"""
_CHECK = r"""
socket(S, 2, 1, 0) and connect(S, pack("S n C4 x8", 2, 8000, 127, 0, 0, 1)) or exit 1;
exit(syswrite(S, "GET / HTTP/1.0\r\n\r\n") && sysread(S, $_, 4096) ? 0 : 1);
"""


def make(releases: Releases, nodes: Nodes) -> str:
    """Publish a release whose services all are the small image; return its version."""
    command, check = (json.dumps(["perl", "-e", script]) for script in (_SERVER, _CHECK))
    digest = nodes.image("small", f"ENTRYPOINT {command}", f"HEALTHCHECK CMD {check}").partition("@")[2]
    record = releases.record(FIRST)
    source = Hub(nodes.registry.address)
    try:
        for service in SERVICES:
            _copy(source, digest, releases.world.hub, record.repository_of(service))
    finally:
        source.close()
    return releases.forge(dict.fromkeys(SERVICES, digest))


def changed(releases: Releases, of: str, services: Collection[str], way: str = "relabelled") -> str:
    """Publish a release like the release `of`, in which the images of these services are spoiled; return its version."""
    record, hub = releases.record(of), releases.world.hub
    digests = {
        service: spoiled(hub, record.repository_of(service), record.services[service].digest, way)
        for service in services
    }
    return releases.forge(digests, of=of)


def _copy(source: Hub, digest: str, hub: Hub, repository: str) -> None:
    body = source.manifest("test/small", digest)
    for part in (body["config"], *body["layers"]):
        hub.put_blob(repository, source.blob("test/small", part["digest"]) or b"")
    content, media_type = source.raw("test/small", digest)
    assert hub.put(repository, digest, content, media_type) == 201
