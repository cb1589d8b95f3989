"""The registry client over real sockets: pagination, redirects, retries, refusals, and content with a wrong digest."""

from __future__ import annotations

import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator

import pytest

from build.errors import RegistryError
from build.registry.client import RegistryClient
from build.registry.oci import digest_of
from tests.release.queries import ALWAYS, BLOB, INDEX, OTHER, client, ok
from tests.support.hub import Hub
from tests.support.project import Project
from tests.support.proxy import Answer, Proxy, Request, Rule, status
from tests.support.world import World


@pytest.mark.parametrize("start", ["", "http://{address}"])
def test_tags_come_page_after_page(faulty: World, proxy: Proxy, hub: Hub, start: str) -> None:
    """Tags are read page by page while the registry sends a Link to the next page."""
    repository = f"{faulty.namespace}/release"
    names = sorted(f"1.{number}.0" for number in range(25))
    for name in names:
        hub.put(repository, name, OTHER, INDEX)

    def page(request: Request) -> Answer:
        """Ten tags after `last`, and the link to the next page (OCI distribution specification, "Listing Tags")."""
        path, _, query = request.path.partition("?")
        after = urllib.parse.parse_qs(query).get("last", [""])[0]
        tags = [name for name in names if name > after]
        link = (
            f'<{start.format(address=proxy.address)}{path}?n=10&last={tags[9]}>; rel="next"' if len(tags) > 10 else ""
        )
        body = json.dumps({"name": repository, "tags": tags[:10]}).encode()
        return Answer(200, {"Content-Type": "application/json"} | ({"Link": link} if link else {}), body)

    proxy.rules = [Rule("GET .*/tags/list", page, times=ALWAYS)]

    with RegistryClient(faulty.clone.project.load()) as registry:
        found = registry.tags(repository)

    assert found == names == sorted(hub.tags(repository))
    assert proxy.count("GET .*/tags/list") == 3


@pytest.fixture
def store() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A blob store separate from the registry: its URL, and the headers of each request it received."""
    asked: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers.items()))
            self.send_response(200)
            self.send_header("Content-Length", str(len(BLOB)))
            self.end_headers()
            self.wfile.write(BLOB)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing; the requests are recorded."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bucket/blob", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_blob_may_be_elsewhere(
    project: Project, registry: object, proxy: Proxy, store: tuple[str, list[dict[str, str]]], code: int
) -> None:
    """A blob may be redirected to a store, which does not get the registry's login; its digest is checked."""
    url, asked = store
    proxy.rules = [
        Rule("GET .*/blobs/", lambda _request: Answer(code, {"Location": url}), times=ALWAYS),
        Rule("HEAD .*/blobs/", lambda _request: Answer(code, {"Location": url}), times=ALWAYS),
    ]

    with client(project, proxy.address) as found:
        found.logins.tokens[""] = "Basic c2VjcmV0"
        assert found.blob("test/web", digest_of(BLOB)) == BLOB
        assert found.has_blob("test/web", digest_of(BLOB))
        with pytest.raises(RegistryError, match="sends other bytes than"):
            found.blob("test/web", digest_of(b"other"))

    assert [headers for headers in asked if "Authorization" in headers] == []


def test_retry_after_is_obeyed(project: Project, proxy: Proxy) -> None:
    """After 429 with Retry-After the client waits that long before it retries."""
    proxy.rules = [Rule("GET /v2/$", status(429, Retry_After="1"))]

    started = time.monotonic()
    with client(project, proxy.address) as registry:
        registry.ping()

    assert time.monotonic() - started >= 1
    assert proxy.count("GET /v2/ ") == 2


@pytest.mark.parametrize("code", [400, 403, 404, 405, 412])
def test_a_refusal_is_not_tried_again(project: Project, proxy: Proxy, code: int) -> None:
    """A 4xx is final: it is reported immediately, with its status."""
    proxy.rules = [Rule("PUT ", status(code), times=ALWAYS)]

    with client(project, proxy.address) as registry, pytest.raises(RegistryError) as caught:
        registry.put_manifest("test/web", "1.0.0", OTHER, INDEX)

    assert caught.value.status == code
    assert proxy.count("PUT ") == 1


def test_a_manifest_is_checked_against_its_digest(world: World, proxy: Proxy) -> None:
    """A manifest whose bytes don't match the requested digest is rejected."""
    ok(world.clone.release())
    digest = world.hub.digest(f"{world.namespace}/one", "0.1.0")
    proxy.rules = [
        Rule("GET .*/manifests/", lambda _request: Answer(200, {"Content-Type": INDEX}, OTHER), times=ALWAYS)
    ]

    with client(world.clone.project, proxy.address) as registry, pytest.raises(RegistryError, match="sends sha256:"):
        registry.manifest(f"{world.namespace}/one", digest)
