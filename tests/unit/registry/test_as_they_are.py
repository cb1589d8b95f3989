"""Registries as they are, and what stands before them: cookies, HEAD, pages, redirects, and answers of somebody else."""

from __future__ import annotations

import dataclasses
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.machine import supply_checks
from build.registry.client import RegistryClient
from build.registry.oci import digest_of
from build.registry.tls import trust
from tests.support.certificates import certify
from tests.support.policies import ALWAYS, cookies, head_answers
from tests.support.project import make_empty
from tests.support.proxy import Answer, Proxy, Request, Rule
from tests.support.server import free_address

JSON = {"Content-Type": "application/json"}
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = b'{"schemaVersion":2,"manifests":[]}'
DIGEST = digest_of(MANIFEST)
PAGE = Answer(200, {"Content-Type": "text/html"}, b"<html>log in to this network</html>")
Act = Callable[[Request], Answer]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Proxy, Proxy]]:
    """Two servers for all tests, with nothing behind them."""
    with Proxy(free_address("127.0.0.1"), "127.0.0.1:1") as one, Proxy(free_address("127.0.0.2"), "127.0.0.1:1") as two:
        yield one, two


@pytest.fixture
def proxy(servers: tuple[Proxy, Proxy]) -> Proxy:
    """What stands at the registry's address."""
    servers[0].heal()
    return servers[0]


@pytest.fixture
def elsewhere(servers: tuple[Proxy, Proxy]) -> Proxy:
    """Another host."""
    servers[1].heal()
    return servers[1]


@pytest.fixture(scope="module")
def manifest(servers: tuple[Proxy, Proxy], tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A manifest whose registry is the first of them."""
    project = make_empty(tmp_path_factory.mktemp("registry") / "project")
    return project.load(UC_REGISTRY_ADDRESS=servers[0].address)


@pytest.fixture
def registry(manifest: Manifest) -> Iterator[RegistryClient]:
    """A client with one attempt and a login."""
    with RegistryClient(manifest, attempts=1) as client:
        client.logins.tokens[""] = "Basic c2VjcmV0"
        yield client


@pytest.fixture
def secure(manifest: Manifest) -> Iterator[RegistryClient]:
    """A client of a registry with TLS, which is asked nothing."""
    settings = dataclasses.replace(manifest.registry, address="registry.example")
    with RegistryClient(dataclasses.replace(manifest, registry=settings)) as client:
        yield client


def always(pattern: str, answer: Answer | Act) -> Rule:
    """A rule for every matching request."""
    return Rule(pattern, answer if callable(answer) else lambda _request: answer, times=ALWAYS)


def found(content: bytes = MANIFEST, **headers: str) -> Answer:
    """A manifest under its digest."""
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return Answer(200, {"Content-Type": INDEX, "Docker-Content-Digest": digest_of(content)} | given, content)


def unknown(code: str = "MANIFEST_UNKNOWN", status: int = 404) -> Answer:
    """A registry's own refusal."""
    return Answer(status, JSON, json.dumps({"errors": [{"code": code, "message": "x"}]}).encode())


def page_of(names: list[str], link: str = "", key: str = "tags") -> Answer:
    """A page of a list, with the header that leads to the next."""
    body = {"name": "test/web", key: names} if key == "tags" else {key: names}
    return Answer(200, JSON | ({"Link": link} if link else {}), json.dumps(body).encode())


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


# R3 Pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["tags", "repositories"])
@pytest.mark.parametrize("start", ["{path}", "http://{address}{path}", "//{address}{path}", ""])
def test_r3_lists_are_read_to_their_last_page(registry: RegistryClient, proxy: Proxy, key: str, start: str) -> None:
    """Tags and repositories come page after page; a Link may be absolute, relative, or only a query (RFC 8288, 3986)."""
    path = "/v2/test/web/tags/list" if key == "tags" else "/v2/_catalog"

    def page(asked: Request) -> Answer:
        number = int(asked.path.partition("last=")[2] or 0)
        url = start.format(path=path, address=proxy.address)
        link = f"<{url}?last={number + 1}>; rel=next" if number < 2 else ""
        return page_of([f"{number}.0", f"{number}.1"], link, key)

    proxy.rules = [always("GET ", page)]

    listed = registry.tags("test/web") if key == "tags" else registry.repositories()

    assert listed == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]


def test_r3_a_page_that_repeats_itself_ends_the_list(registry: RegistryClient, proxy: Proxy) -> None:
    """A Link that leads to what was already read, under whatever URL, is not followed again."""
    count = iter(range(1000))
    proxy.rules = [
        always("GET ", lambda _asked: page_of(["a", "b"], f'</v2/test/web/tags/list?last={next(count)}>; rel="next"'))
    ]

    assert registry.tags("test/web") == ["a", "b"]
    assert proxy.count("GET ") == 2


def test_r3_a_full_page_without_a_link_may_not_be_the_last(registry: RegistryClient, proxy: Proxy) -> None:
    """A registry that pages by `last` alone sends as many names as were asked for: what comes after is asked for."""
    names = [f"{number:04}" for number in range(1500)]
    proxy.rules = [always("GET ", lambda asked: page_of(names[1000:] if "last=0999" in asked.path else names[:1000]))]

    assert registry.tags("test/web") == names


def test_r3_a_page_at_another_host_gets_no_login(registry: RegistryClient, proxy: Proxy, elsewhere: Proxy) -> None:
    """A Link may lead anywhere; the login stays with the registry."""
    logins: list[str | None] = []

    def page(asked: Request) -> Answer:
        logins.append(asked.headers.get("Authorization"))
        return page_of(["b"])

    proxy.rules = [always("GET ", page_of(["a"], f'<http://{elsewhere.address}/v2/test/web/tags/list>; rel="next"'))]
    elsewhere.rules = [always("GET ", page)]

    assert registry.tags("test/web") == ["a", "b"]
    assert logins == [None]


# R4 Redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("what", ["manifests/1.0.0", f"blobs/{DIGEST}"])
def test_r4_content_may_be_elsewhere(
    registry: RegistryClient, proxy: Proxy, elsewhere: Proxy, code: int, what: str
) -> None:
    """Manifests and blobs may be redirected, several times, to hosts that see no login."""
    logins: list[str | None] = []

    def store(asked: Request) -> Answer:
        logins.append(asked.headers.get("Authorization"))
        return Answer(code, {"Location": "?signed=1"}) if "signed" not in asked.path else found()

    proxy.rules = [
        always("/v2/moved/", lambda asked: Answer(code, {"Location": asked.path.replace("/moved/", "/test/web/")})),
        always("/v2/test/", lambda asked: Answer(code, {"Location": f"http://{elsewhere.address}{asked.path}"})),
    ]
    elsewhere.rules = [always("GET ", store)]

    kind, _, name = what.partition("/")
    read = registry.manifest("moved", name) if kind == "manifests" else registry.blob("moved", name)

    assert read
    assert logins == [None, None]


def test_r4_an_upload_may_go_elsewhere(registry: RegistryClient, proxy: Proxy, elsewhere: Proxy) -> None:
    """An upload's Location, and a redirect that keeps the method, take the body to another host, and not the login."""
    seen: list[tuple[str | None, bytes]] = []

    def keep(asked: Request) -> Answer:
        seen.append((asked.headers.get("Authorization"), asked.body))
        return Answer(201)

    proxy.rules = [always("POST ", lambda asked: Answer(202, {"Location": f"http://{elsewhere.address}/upload?a=1"}))]
    elsewhere.rules = [always("PUT /upload", Answer(307, {"Location": "/kept"})), always("PUT /kept", keep)]

    assert registry.put_blob("test/web", DIGEST, MANIFEST)
    assert seen == [(None, MANIFEST)]


@pytest.mark.parametrize("code", [301, 302, 303])
def test_r4_a_write_does_not_become_a_read(registry: RegistryClient, proxy: Proxy, code: int) -> None:
    """A redirect that would turn a PUT into a GET is a refusal that says where it leads."""
    proxy.rules = [always("PUT ", Answer(code, {"Location": "https://registry.example/v2/"}))]

    with pytest.raises(RegistryError, match=f"answers {code}, which leads to https://registry.example/v2/"):
        registry.put_manifest("test/web", "1.0.0", MANIFEST, INDEX)


@pytest.mark.parametrize("location", ["{path}", "{path}?{number}"])
def test_r4_a_circle_ends_with_words(registry: RegistryClient, proxy: Proxy, location: str) -> None:
    """Redirects that come back, or never end, are reported."""
    count = iter(range(1000))
    proxy.rules = [
        always(
            "GET ",
            lambda asked: Answer(
                302, {"Location": location.format(path=asked.path.partition("?")[0], number=next(count))}
            ),
        )
    ]

    with pytest.raises(RegistryError, match="redirects in a circle, or without end") as caught:
        registry.manifest("test/web", "1.0.0")

    assert "curl -vL" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("ftp://x/y", "not a URL"),
        ("http://a:b/x", "(?i)invalid"),
        ("mailto:x", "not a URL|[Ii]nvalid"),
    ],
)
def test_r4_a_location_that_is_none(registry: RegistryClient, proxy: Proxy, location: str, says: str) -> None:
    """A Location that leads nowhere is reported, not a traceback."""
    proxy.rules = [always("GET ", Answer(302, {"Location": location}))]

    with pytest.raises(RegistryError, match=says):
        registry.manifest("test/web", "1.0.0")


def test_r4_tls_is_not_left(secure: RegistryClient) -> None:
    """What began with TLS does not go on without: a redirect, an upload or a page to http is refused with the remedy."""
    import httpx

    asked = httpx.Request("GET", "https://registry.example/v2/test/web/manifests/1.0.0")
    answer = httpx.Response(302, headers={"Location": "http://registry.example/v2/x?token=secret"}, request=asked)
    with pytest.raises(RegistryError, match=r"from https to http://registry\.example/v2/x: refused") as caught:
        secure.location(answer)

    assert "X-Forwarded-Proto" in caught.value.hint


def test_r4_a_login_in_the_clear_is_refused(secure: RegistryClient) -> None:
    """A token service without TLS, unless it is on this machine, gets no password."""
    import httpx

    challenge = {"WWW-Authenticate": 'Bearer realm="http://tokens.example/token",service="x"'}
    answer = httpx.Response(401, headers=challenge, request=httpx.Request("GET", "https://registry.example/v2/"))
    with pytest.raises(RegistryError, match="would get the password in the clear"):
        secure.logins.answer(answer)


# R6 Certificates ------------------------------------------------------------------------------------------------------


def test_r6_docker_s_certificates(tmp_path: Path) -> None:
    """Every *.crt of Docker's folder for the registry is trusted, and SSL_CERT_FILE replaces the system's."""
    folder = tmp_path / "registry.example:5000"
    folder.mkdir()
    made = certify(folder, "registry.example")
    made.ca.rename(folder / "company.crt")
    made.certificate.unlink()

    with_folder = trust("registry.example:5000", None, own=True, certs_d=[tmp_path])
    without = trust("registry.example", None, own=True, certs_d=[tmp_path])

    assert len(with_folder.get_ca_certs()) == len(without.get_ca_certs()) + 1


def test_r6_a_client_certificate_needs_its_key(tmp_path: Path) -> None:
    """*.cert with *.key is shown to the registry and to nobody else; a missing or wrong key is named."""
    folder = tmp_path / "registry.example"
    folder.mkdir()
    made = certify(tmp_path, "registry.example")
    made.certificate.rename(folder / "client.cert")

    assert isinstance(trust("registry.example", None, own=False, certs_d=[tmp_path]), ssl.SSLContext)
    with pytest.raises(RegistryError, match=r"client\.cert: its key client\.key is not beside it"):
        trust("registry.example", None, own=True, certs_d=[tmp_path])
    (folder / "client.key").write_bytes((tmp_path / "ca.key").read_bytes())
    with pytest.raises(RegistryError, match=r"can't be used with client\.key"):
        trust("registry.example", None, own=True, certs_d=[tmp_path])
    made.key.rename(folder / "client.key")
    trust("registry.example", None, own=True, certs_d=[tmp_path])


@pytest.mark.parametrize(
    "answer", [PAGE, Answer(403), Answer(404), Answer(502), Answer(302, {"Location": "/v2/"}), Answer(200, JSON, b"{}")]
)
def test_r6_the_doctor_says_what_a_release_would(
    registry: RegistryClient, manifest: Manifest, proxy: Proxy, answer: Answer
) -> None:
    """The doctor asks by the client of a release: it finds the same error with the same remedy, or none."""
    proxy.rules = [always("", answer)]

    row = supply_checks.registry(manifest)

    try:
        registry.ping()
    except RegistryError as error:
        remedy = error.hint.replace("docker login", f"docker login {proxy.address}")
        assert (row.state, row.found, row.remedy) == ("fail", str(error), remedy)
    else:
        assert (row.state, row.found) == ("ok", f"{proxy.address} answers")


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
