"""Which answers of a registry are believed, and what helps against those that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry.client import RegistryClient
from build.registry.oci import digest_of
from tests.support.answers import DIGEST, INDEX, JSON, MANIFEST, PAGE, always, found, page_of, unknown
from tests.support.policies import cookies, head_answers
from tests.support.proxy import Answer, Proxy, Rule

# R1 Cookies -----------------------------------------------------------------------------------------------------------


def test_r1_no_cookie_is_kept(registry: RegistryClient, proxy: Proxy) -> None:
    """A session cookie is never sent back: Harbor asks a write that carries it for a CSRF token (its csrf.go)."""
    proxy.rules = [
        cookies(always("", lambda asked: Answer(201) if asked.method == "PUT" else found())),
    ]

    registry.manifest("test/web", "1.0.0")
    registry.put_manifest("test/web", "1.0.1", MANIFEST, INDEX)

    assert proxy.count("→ 403") == 0


# R2 HEAD --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405, 400, 403, 501])
def test_r2_get_decides_where_head_denies(registry: RegistryClient, proxy: Proxy, status: int) -> None:
    """Nexus answers HEAD with 404 where GET finds a manifest, others with 405: only GET says that there is none."""
    proxy.rules = [head_answers(status), always("/1.0.0$", found()), always("/2.0.0$", unknown())]

    assert registry.digest("test/web", "1.0.0") == DIGEST
    assert registry.digest("test/web", "2.0.0") is None


@pytest.mark.parametrize("header", ["", "sha256:", "md5:0", "none"])
def test_r2_a_head_without_a_digest_says_nothing(registry: RegistryClient, proxy: Proxy, header: str) -> None:
    """Without Docker-Content-Digest, or with something else in it, the bytes are asked for."""
    proxy.rules = [always("HEAD ", Answer(200, {"Docker-Content-Digest": header})), always("GET ", found())]

    assert registry.digest("test/web", "1.0.0") == DIGEST


@pytest.mark.parametrize("status", [200, 404, 405, 500])
def test_r2_a_blob_that_head_denies_is_uploaded_again(registry: RegistryClient, proxy: Proxy, status: int) -> None:
    """A doubt about a blob costs an upload, never a blob: HEAD counts only if it names the digest that was asked for."""
    proxy.rules = [always("HEAD ", Answer(status, {"Docker-Content-Digest": DIGEST}))]

    assert registry.has_blob("test/web", DIGEST) is (status == 200)
    assert not registry.has_blob("test/web", digest_of(b"other"))


# C9 Broken answers ----------------------------------------------------------------------------------------------------


OWN: dict[str, Answer] = {
    "Distribution": unknown("MANIFEST_UNKNOWN"),
    "Harbor": unknown("NOT_FOUND"),
    "a repository": unknown("NAME_UNKNOWN"),
    "Artifactory": Answer(404, JSON, b'{"errors":[{"status":404,"message":"not found"}]}'),
    "by its header alone": Answer(404, {"Docker-Distribution-Api-Version": "registry/2.0"}),
    "in plain words": Answer(404, {"Docker-Distribution-Api-Version": "registry/2.0"}, b"404 page not found"),
}
STRANGE: dict[str, Answer] = {
    "nginx": Answer(404, {"Content-Type": "text/html"}, b"<html>404 Not Found</html>"),
    "Traefik": Answer(404, {"Content-Type": "text/plain"}, b"404 page not found\n"),
    "an API gateway": Answer(404, JSON, b'{"message":"no Route matched with those values"}'),
    "Envoy": Answer(404),
    "an empty list of errors": Answer(404, JSON, b'{"errors":[]}'),
    "a page behind the header": Answer(
        404, {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Type": "text/html"}, b"<html>"
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_c9_a_registry_s_own_404_is_believed(registry: RegistryClient, proxy: Proxy, name: str) -> None:
    """There is none, if a registry says so: with its API version, or with a list of errors."""
    proxy.rules = [always("GET ", OWN[name])]

    assert registry.manifest("test/web", "1.0.0") is None
    assert registry.blob("test/web", DIGEST) is None
    assert registry.tags("test/web") == []


@pytest.mark.parametrize("name", STRANGE)
def test_c9_another_s_404_is_not(registry: RegistryClient, proxy: Proxy, name: str) -> None:
    """A 404 of what stands before the registry is a broken answer, never "there is none"."""
    proxy.rules = [always("", STRANGE[name])]
    asks: list[Callable[[], object]] = [
        lambda: registry.manifest("test/web", "1.0.0"),
        lambda: registry.digest("test/web", DIGEST),
        lambda: registry.blob("test/web", DIGEST),
        lambda: registry.tags("test/web"),
    ]

    for ask in asks:
        with pytest.raises(RegistryError, match=r"answers 404 with .*, which is not a registry's"):
            ask()


BROKEN: dict[str, tuple[Answer, str]] = {
    "a captive portal": (PAGE, "answers with a web page"),
    "nothing": (Answer(200, {"Content-Type": INDEX}), "answers with nothing"),
    "JSON of another kind": (Answer(200, JSON, b'{"status":"ok"}'), "answers with something else"),
    "a list": (Answer(200, JSON, b"[1]"), "answers with something else"),
    "half a manifest": (Answer(200, {"Content-Type": INDEX}, MANIFEST[:12]), "answers with"),
    "other bytes": (
        Answer(200, {"Content-Type": INDEX, "Docker-Content-Digest": DIGEST}, MANIFEST + b" "), "and calls them sha256:",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_c9_what_is_not_the_content_is_refused(registry: RegistryClient, proxy: Proxy, name: str) -> None:
    """A 200 that is not what was asked for is neither content nor absence, by tag and by digest."""
    answer, says = BROKEN[name]
    proxy.rules = [always("GET ", answer)]

    with pytest.raises(RegistryError, match=says):
        registry.manifest("test/web", "1.0.0")
    with pytest.raises(RegistryError, match="sends "):
        registry.manifest("test/web", DIGEST)
    with pytest.raises(RegistryError, match="sends other bytes than"):
        registry.blob("test/web", DIGEST)
    with pytest.raises(RegistryError, match="answers with"):
        registry.tags("test/web")


def test_c9_a_broken_answer_is_asked_again(manifest: Manifest, proxy: Proxy) -> None:
    """A broken answer is a passing one first: the next is taken."""
    proxy.rules = [Rule("GET ", lambda _request: PAGE), always("GET ", found())]

    with RegistryClient(manifest, attempts=2) as client:
        assert client.digest("test/web", "1.0.0", new=True) == DIGEST


def test_c9_head_and_get_that_disagree(monkeypatch: pytest.MonkeyPatch, registry: RegistryClient, proxy: Proxy) -> None:
    """A digest that only HEAD gives is not another digest: after a few reads it is an error, which names both."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    other = digest_of(b"other")
    proxy.rules = [always("HEAD ", Answer(200, {"Docker-Content-Digest": other})), always("GET ", found())]

    with pytest.raises(RegistryError, match=f"names {other} for test/web:1.0.0 and sends {DIGEST}"):
        registry.digest_but("test/web", "1.0.0", DIGEST)
    assert registry.digest_but("test/web", "1.0.0", other) == other


@pytest.mark.parametrize("listed", [unknown("NAME_UNKNOWN"), page_of([]), page_of(["0.9.0"])])
def test_c9_a_list_without_what_was_put_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, registry: RegistryClient, proxy: Proxy, listed: Answer
) -> None:
    """A list that lacks a tag of ours, which is there, is stale: it is read again, and in the end refused."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    proxy.rules = [always("PUT ", Answer(201)), Rule("/tags/list", lambda _request: listed, times=2)]
    proxy.rules += [always("/tags/list", page_of(["1.0.0"])), always("GET ", found())]
    registry.put_manifest("test/web", "1.0.0", MANIFEST, INDEX)

    assert registry.tags("test/web") == ["1.0.0"]
    proxy.rules[2] = always("/tags/list", listed)
    with pytest.raises(RegistryError, match=r"lists test/web without 1\.0\.0, which it has"):
        registry.tags("test/web")
    proxy.rules[3] = always("GET ", unknown())
    assert registry.tags("test/web") == ([] if "0.9.0" not in str(listed.body) else ["0.9.0"])


# C11 Hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "doctor --registry"), (401, "docker login"), (403, "docker login"), (404, "namespace"),
        (405, "read-only"), (409, "somebody else"), (412, "can't be moved"), (413, "client_max_body_size"),
        (415, "newer version"), (429, "docker login, or wait"), (500, "own log"), (502, "behind it"), (503, "wait"),
        (504, "takes too long"), (507, "full"), (508, "own log"),
    ],
)  # fmt: skip
def test_c11_each_refusal_has_its_own_remedy(registry: RegistryClient, proxy: Proxy, status: int, says: str) -> None:
    """What helps against a refusal depends on its status."""
    proxy.rules = [always("PUT ", Answer(status))]

    with pytest.raises(RegistryError) as caught:
        registry.put_manifest("test/web", "1.0.0", MANIFEST, INDEX)

    assert (caught.value.status, says in caught.value.hint) == (status, True), caught.value.hint


def test_c11_a_body_that_is_too_large_is_measured(registry: RegistryClient, proxy: Proxy, tmp_path: Path) -> None:
    """413 says how large the body was that a proxy did not let through."""
    layer = tmp_path / "layer"
    layer.write_bytes(b"x" * 2_500_000)
    proxy.rules = [always("POST ", Answer(202, {"Location": "/upload"})), always("PUT ", Answer(413))]

    with pytest.raises(RegistryError, match=r"answers 413 to a body of 2\.5 MB"):
        registry.put_blob("test/web", DIGEST, layer)
