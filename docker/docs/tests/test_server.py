"""What clients and attackers see of the server, over real sockets."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import httpx
import pytest
from docs_rig import Server, Start, get, make, pack


def _raw(server: Server, request: str) -> str:
    """Send the bytes as they are, without a client that tidies the path; the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request.encode("latin-1"))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode("latin-1")


def _raw_get(server: Server, target: str) -> str:
    return _raw(server, f"GET {target} HTTP/1.1\r\nHost: docs\r\nConnection: close\r\n\r\n")


def test_head_has_the_headers_of_get_and_no_body(server: Server) -> None:
    """HEAD is GET without the body, for pages, probes and redirects."""
    for path in ("/", "/health", "/services", "/nowhere"):
        raw = _raw(server, f"HEAD {path} HTTP/1.1\r\nHost: docs\r\nConnection: close\r\n\r\n")
        head, _, body = raw.partition("\r\n\r\n")

        assert body == ""
        assert "content-length: 0" not in head
        assert f" {get(server, path).status_code} " in head.splitlines()[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    """A static site is only read; the refusal says what is allowed, and a body isn't read."""
    answer = httpx.request(method, server.url + "/")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(("path", "location"), [("/services", "/services/"), ("/services?q=a/b", "/services/?q=a/b")])
def test_a_folder_without_its_slash_is_redirected(server: Server, path: str, location: str) -> None:
    """Relative links of a page resolve one level too high without the slash."""
    answer = get(server, path)

    assert answer.status_code == 301
    assert answer.headers["location"] == location


@pytest.mark.parametrize(
    "target",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd",
        "/services/../../../etc/passwd",
        "/services/%2e%2e/index.html",
        "/..\\..\\etc\\passwd",
        "/%5c..%5c..%5cetc/passwd",
        "/services%2Fmonitoring/",
        "/search%5csearch_index.json",
        "/index.html%00.png",
        "/%c0%ae%c0%ae/etc/passwd",
        "/%",
        "//etc/passwd",
        "/manifest.json",
        "/raw/index.html",
        "/../manifest.json",
        "/constructor",
        "/__proto__",
        "http://docs/../../etc/passwd",
    ],
)
def test_nothing_outside_the_site_is_answered(server: Server, target: str) -> None:
    """No spelling of a path reaches a file that isn't a page: raw, encoded, twisted or in absolute form."""
    answer = _raw_get(server, target)

    assert answer.startswith("HTTP/1.1 404 "), answer.splitlines()[0]
    assert "root:" not in answer
    assert '"policies"' not in answer


def test_the_absolute_form_of_a_target_is_understood(server: Server) -> None:
    """A client that talks as if to a proxy gets the page (RFC 9112, 3.2.2)."""
    assert _raw_get(server, "http://docs/services/").startswith("HTTP/1.1 200 ")


def test_an_unknown_path_gets_the_sites_own_404_page(server: Server) -> None:
    """A reader who mistypes stays in the site and finds its navigation."""
    answer = get(server, "/nowhere/at/all")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert 'href="/assets/' in answer.text


def test_every_answer_has_the_security_headers(server: Server) -> None:
    """Probes, refusals and missing pages are answers of this host too."""
    for path in ("/", "/nowhere", "/services", "/health", "/metrics", "/search/search_index.json"):
        headers = get(server, path).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_policy_allows_scripts_by_hash_alone(server: Server) -> None:
    """No 'unsafe-inline' and no other host for scripts: an injected script doesn't run."""
    policy = get(server, "/").headers["content-security-policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))

    assert "'sha256-" in scripts
    assert "unsafe" not in scripts
    assert "http" not in policy


def test_probes_report_the_mounted_content(server: Server) -> None:
    """Health is the front page and the search index; ready is taking requests; metrics name no paths."""
    assert get(server, "/health").json()["status"] == "healthy"
    assert (get(server, "/ready").status_code, get(server, "/ready").json()) == (200, {"status": "ready"})
    get(server, "/services/monitoring/")
    text = get(server, "/metrics").text

    assert re.search(r'^http_requests_total\{method="GET",status="200"\} [1-9]', text, re.M)
    assert re.search(r'^http_request_duration_seconds_bucket\{le="\+Inf"\} [1-9]', text, re.M)
    assert "http_requests_in_flight 1\n" in text
    assert "/services" not in text


def test_a_request_id_is_kept_and_a_bad_one_replaced(server: Server) -> None:
    """One id follows a request through all services; what could forge a log line is not taken."""
    assert get(server, "/", **{"x-request-id": "trace-1.a_b"}).headers["x-request-id"] == "trace-1.a_b"
    assert re.fullmatch(r"[0-9a-f]{32}", get(server, "/", **{"x-request-id": 'a"b c'}).headers["x-request-id"])


def test_a_prebuilt_site_is_served_as_it_is(tmp_path: Path, fake_mermaid: Path, start_any: Start) -> None:
    """DocFX, Sphinx and TypeDoc output needs no search index and no 404 page to be served and healthy."""
    source = tmp_path / "built"
    (source / "api v2/größe").mkdir(parents=True)
    (source / "index.html").write_text('<a href="api%20v2/">x</a><script>here()</script>')
    (source / "api v2/index.html").write_text("<h1>second</h1>")
    (source / "api v2/größe/index.html").write_text("<h1>third</h1>")
    assert make(source, tmp_path / "site").code == 0
    done = pack(tmp_path / "site", tmp_path / "packed", fake_mermaid)
    assert done.code == 0, done.text

    server = start_any(tmp_path / "packed")

    assert get(server, "/health").json()["status"] == "healthy"
    assert get(server, "/").content == (source / "index.html").read_bytes()
    assert get(server, "/api%20v2/").text == "<h1>second</h1>"
    assert get(server, "/api%20v2/index.html").text == "<h1>second</h1>"
    assert get(server, "/api%20v2/gr%C3%B6%C3%9Fe").headers["location"] == "/api%20v2/gr%C3%B6%C3%9Fe/"
    assert get(server, "/nowhere").status_code == 404


@pytest.mark.parametrize("times", [0, 1, 400, 12_000])
def test_a_file_arrives_byte_for_byte(times: int, tmp_path: Path, fake_mermaid: Path, start_any: Start) -> None:
    """An empty one, small ones that leave with their head, those in memory, and large ones that come from disk."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("x")
    content = bytes(range(256)) * times
    (site / "file.zip").write_bytes(content)
    assert pack(site, tmp_path / "packed", fake_mermaid).code == 0

    assert get(start_any(tmp_path / "packed"), "/file.zip").content == content


def test_a_file_that_was_changed_after_packing_is_no_health(packed: Path, tmp_path: Path, start_any: Start) -> None:
    """The search index is read by others from this service: when it is gone, /health says so with 503."""
    (tmp_path / "packed").symlink_to(packed, target_is_directory=True)
    own = tmp_path / "own"
    own.mkdir()
    for form in ("br", "gzip"):
        (own / form).symlink_to(packed / form)
    (own / "manifest.json").write_bytes((packed / "manifest.json").read_bytes())
    for file in (packed / "raw").rglob("*"):
        target = own / "raw" / file.relative_to(packed / "raw")
        if file.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
    server = start_any(own)
    assert get(server, "/health").status_code == 200

    (own / "raw/search/search_index.json").unlink()
    answer = get(server, "/health")

    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert "search_index.json" in answer.json()["reason"]


def test_many_clients_at_once_get_the_right_page(server: Server) -> None:
    """Answers are not mixed up between connections."""
    paths = ["/", "/services/", "/operating/secrets/", "/troubleshooting/"]
    with httpx.Client(base_url=server.url) as client:
        expected = {path: client.get(path).headers["etag"] for path in paths}
        assert len(set(expected.values())) == len(paths)
        for number in range(200):
            path = paths[number % len(paths)]
            assert client.get(path).headers["etag"] == expected[path]


def test_the_search_index_is_the_pages_text(server: Server) -> None:
    """Search and the MCP server `docs` both read this file."""
    index = json.loads(get(server, "/search/search_index.json").text)

    assert any("Rotation" in item["title"] for item in index["docs"])
