"""The registry client over real sockets: TLS, logins, tokens, pages, redirects; and where a password never turns up."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build.distribution import Distribution, digest_of
from build.errors import RegistryError
from tests.conftest import Project
from tests.fault.proxy import Answer, Proxy, Request, Rule, status
from tests.fault.server import free_address
from tests.fault.world import Hub, World
from tests.release.asking import ALWAYS, INDEX, OTHER, ok
from tests.release.secured import serve
from tests.release.token_service import HTPASSWD, IDENTITY, ISSUER, PASSWORD, SERVICE, USER, TokenService, certify

HOST = f"127.{10 + os.getpid() % 200}.9.9"
BLOB = b"some bytes"


@pytest.fixture
def address() -> str:
    """A free loopback address."""
    return free_address(HOST)


def client(project: Project, address: str, **environment: str) -> Distribution:
    """A client of the registry at an address, that tries twice."""
    return Distribution(project.load(UC_REGISTRY_ADDRESS=address, **environment), attempts=2)


@pytest.fixture
def login(project: Project) -> dict[str, str]:
    """The settings of a login from a secret file."""
    project.write(".uc/password", f"{PASSWORD}\n")
    return {"UC_REGISTRY_USERNAME": USER, "UC_REGISTRY_PASSWORD_FILE": ".uc/password"}


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(registry_program: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A registry with a certificate of a private CA: its address and the CA. The name is one that is not loopback."""
    made = certify(tmp_path, "127.1")
    port = free_address("127.0.0.1").rpartition(":")[2]
    settings = {"tls": {"certificate": str(made.certificate), "key": str(made.key)}}
    with serve(registry_program, tmp_path, f"127.0.0.1:{port}", http=settings):
        yield f"127.1:{port}", made.ca


def test_a_private_ca_is_trusted_where_it_is_named(project: Project, tls: tuple[str, Path]) -> None:
    """[registry] ca_file lets a certificate of a private CA in; without it the connection is refused in words."""
    address, ca = tls

    with client(project, address) as registry, pytest.raises(RegistryError, match=r"(?i)certificate verify failed"):
        registry.ping()
    with client(project, address, UC_REGISTRY_CA_FILE=str(ca)) as registry:
        registry.ping()
        assert registry.put_blob("test/web", digest_of(BLOB), BLOB)
        assert registry.blob("test/web", digest_of(BLOB)) == BLOB


@pytest.mark.skipif(not os.access("/etc", os.W_OK), reason="only root may write Docker's certs.d")
def test_docker_s_own_certificates_are_trusted(project: Project, tls: tuple[str, Path]) -> None:
    """What Docker trusts for this registry in certs.d, the toolkit trusts too."""
    address, ca = tls
    folder = Path("/etc/docker/certs.d") / address
    folder.mkdir(parents=True)
    try:
        (folder / "ca.crt").write_bytes(ca.read_bytes())
        with client(project, address) as registry:
            registry.ping()
    finally:
        (folder / "ca.crt").unlink()
        folder.rmdir()


def test_another_ca_is_not_enough(project: Project, tls: tuple[str, Path], tmp_path: Path) -> None:
    """A CA that did not sign the certificate lets nobody in."""
    other = tmp_path / "other"
    other.mkdir()

    with (
        client(project, tls[0], UC_REGISTRY_CA_FILE=str(certify(other, "127.1").ca)) as registry,
        pytest.raises(RegistryError, match=r"(?i)certificate verify failed"),
    ):
        registry.ping()


def test_what_is_no_certificate_is_told(project: Project) -> None:
    """A ca_file that is no PEM is named, with what is wanted, and is no traceback."""
    project.write("ca.pem", "not a certificate\n")

    with pytest.raises(RegistryError, match=r"ca\.pem: no certificates can be read") as caught:
        client(project, "registry.example", UC_REGISTRY_CA_FILE="ca.pem")

    assert "BEGIN CERTIFICATE" in caught.value.hint


def test_the_scan_of_a_release_trusts_the_private_ca(
    make_world: Callable[..., World], registry_program: str, tmp_path: Path
) -> None:
    """[registry] ca_file is enough for Trivy too, where the machine does not know the CA."""
    name = socket.gethostname()
    found = ""
    with contextlib.suppress(OSError):
        found = socket.gethostbyname(name)
    if not found.startswith("127."):
        pytest.skip(f"this machine's name is at {found or 'no address'}, and registries of tests are on loopback only")
    made = certify(tmp_path, name)
    port = free_address(found).rpartition(":")[2]
    settings = {"tls": {"certificate": str(made.certificate), "key": str(made.key)}}
    with serve(registry_program, tmp_path, f"{found}:{port}", http=settings):
        world = make_world(f"{name}:{port}")

        ran = world.clone.inv("release", "--skip-smoke", UC_REGISTRY_CA_FILE=str(made.ca))

    assert ran.code == 0, ran.text
    assert world.record("v0.1.0")["gates"]["scan"]["verdict"] == "passed"


# Logins --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def basic(registry_program: str, tmp_path: Path, address: str) -> Iterator[str]:
    """A registry with basic auth."""
    passwords = tmp_path / "htpasswd"
    passwords.write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(passwords)}}
    with serve(registry_program, tmp_path, address, auth=auth):
        yield address


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenService]:
    """A token service."""
    with TokenService(tmp_path) as service:
        yield service


@pytest.fixture
def bearer(registry_program: str, tmp_path: Path, address: str, tokens: TokenService) -> Iterator[str]:
    """A registry that takes the tokens of `tokens`."""
    auth = {
        "token": {
            "realm": tokens.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(tokens.certificate),
        }
    }
    with serve(registry_program, tmp_path, address, auth=auth):
        yield address


def test_basic_auth_from_a_secret_file(project: Project, basic: str, login: dict[str, str]) -> None:
    """The manifest's user and password file log in; nobody and a wrong password are refused with what to do."""
    with client(project, basic, **login) as registry:
        registry.put_blob("test/web", digest_of(BLOB), BLOB)

    for changed in ({}, login | {"UC_REGISTRY_USERNAME": "other"}):
        with client(project, basic, **changed) as registry, pytest.raises(RegistryError, match="refuses") as caught:
            registry.ping()
        assert caught.value.status == 401
        assert "docker login" in caught.value.hint


def _helper(folder: Path, monkeypatch: pytest.MonkeyPatch, user: str, secret: str) -> None:
    """docker-credential-vault on PATH, with this login for every server."""
    helper = folder / "docker-credential-vault"
    helper.write_text(f'#!/bin/sh\nread -r server\nprintf \'{{"Username":"{user}","Secret":"{secret}"}}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_credential_helper_logs_in(
    project: Project, basic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Docker's credential helper answers for this registry is used, with no password in any file."""
    _helper(tmp_path, monkeypatch, USER, PASSWORD)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {basic: "vault"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with client(project, basic) as registry:
        registry.ping()
        assert registry.tags("test/web") == []


def test_tokens_are_asked_for_by_scope_and_kept(
    project: Project, bearer: str, tokens: TokenService, login: dict[str, str]
) -> None:
    """A token is asked for when the registry wants one, with the scope that it names, and used again while it is good."""
    with client(project, bearer, **login) as registry:
        for _ in range(3):
            registry.put_blob("test/web", digest_of(BLOB), BLOB)
        for number in range(3):
            registry.tags("test/web")
            registry.put_manifest("test/api", f"{number}.0.0", OTHER, INDEX)

    scopes = [query.get("scope", [""])[0] for query in tokens.asked]
    assert {query["service"][0] for query in tokens.asked} == {SERVICE}
    assert len(scopes) <= 4, scopes
    assert any(re.fullmatch("repository:test/web:(pull,push|push,pull)", scope) for scope in scopes)


@pytest.mark.parametrize("kept", ["in the file", "by a helper"])
def test_an_identity_token_is_traded_for_access(
    project: Project, bearer: str, tokens: TokenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """A cloud's login leaves no password but an identity token: the token service takes it by OAuth2's form."""
    nobody = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
    config: dict[str, object] = {"auths": {bearer: {"auth": nobody, "identitytoken": IDENTITY}}}
    if kept == "by a helper":
        config = {"credHelpers": {bearer: "vault"}}
        _helper(tmp_path, monkeypatch, "<token>", IDENTITY)
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with client(project, bearer) as registry:
        registry.put_blob("test/web", digest_of(BLOB), BLOB)

    assert {query["grant_type"][0] for query in tokens.asked} == {"refresh_token"}
    assert {query["service"][0] for query in tokens.asked} == {SERVICE}


def test_an_identity_token_is_no_password(
    project: Project, basic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that wants a password gets no identity token: it is refused with what to do."""
    (tmp_path / "config.json").write_text(json.dumps({"auths": {basic: {"identitytoken": IDENTITY}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with client(project, basic) as registry, pytest.raises(RegistryError, match="refuses") as caught:
        registry.ping()

    assert "docker login" in caught.value.hint
    assert registry._tokens == {}


def test_a_token_that_ran_out_is_renewed(
    project: Project, bearer: str, tokens: TokenService, login: dict[str, str]
) -> None:
    """A long release outlives its tokens: a 401 in the middle gets a new one, and the request goes through."""
    with client(project, bearer, **login) as registry:
        registry.put_manifest("test/web", "1.0.0", OTHER, INDEX)
        first = len(tokens.given)
        for scope in list(registry._tokens):
            registry._tokens[scope] = "Bearer " + tokens._token([]).replace(".", ".x", 1)
        registry.put_manifest("test/web", "1.0.1", OTHER, INDEX)

    assert len(tokens.given) > first


def test_a_token_without_the_right_is_a_refusal(
    project: Project, bearer: str, tokens: TokenService, login: dict[str, str]
) -> None:
    """Where the service grants less than was asked, the client gives up after a second try and says who refuses."""
    tokens.grant = lambda actions: [one for one in actions if one == "pull"]

    with client(project, bearer, **login) as registry:
        assert registry.tags("test/web") == []
        with pytest.raises(RegistryError, match="refuses") as caught:
            registry.prove_push("test/web")

    assert caught.value.status == 401
    assert len(tokens.asked) <= 5


def test_a_mount_works_with_tokens(project: Project, bearer: str, tokens: TokenService, login: dict[str, str]) -> None:
    """Mounting a blob from a sister repository needs rights on both, and gets them."""
    with client(project, bearer, **login) as registry:
        registry.put_blob("test/web", digest_of(BLOB), BLOB)

        assert registry.put_blob("test/api", digest_of(BLOB), BLOB, mount_from="test/web") is False
        assert registry.blob("test/api", digest_of(BLOB)) == BLOB


def test_a_release_needs_no_password_in_sight(
    make_world: Callable[..., World], registry_program: str, tmp_path: Path, address: str, tokens: TokenService
) -> None:
    """A whole release under token auth: the password is in no argument of any process, no output, no file of the state."""
    auth = {
        "token": {
            "realm": tokens.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(tokens.certificate),
        }
    }
    with serve(registry_program, tmp_path, address, auth=auth) as log:
        world = make_world(address)
        world.clone.project.write(".uc/password", PASSWORD)
        world.clone.environment = world.clone.environment | {
            "UC_REGISTRY_USERNAME": USER, "UC_REGISTRY_PASSWORD_FILE": ".uc/password",
        }  # fmt: skip
        running = world.clone.start("release", "--skip-scan", "--skip-smoke")
        seen: set[bytes] = set()
        while running.process.poll() is None:
            seen |= _command_lines()
        ran = running.wait()
        assert ran.code == 0, ran.text
        refused = world.clone.release("--bump", "patch", UC_REGISTRY_USERNAME="other")

    assert refused.code == 10, refused.text
    assert any(b"release" in one for one in seen)
    assert [one for one in seen if PASSWORD.encode() in one] == []
    assert PASSWORD not in ran.text + refused.text
    assert tokens.given[0] not in ran.text + refused.text
    state = world.clone.project.root / ".uc"
    holding = [path for path in state.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert holding == [state / "password"]
    assert PASSWORD not in log.read_text()


def _command_lines() -> set[bytes]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_bytes())
    return found


def test_the_scan_of_a_release_logs_in_too(make_world: Callable[..., World], basic: str, tmp_path: Path) -> None:
    """Trivy reads the candidates from the registry: the manifest's login is enough for it, where nobody logged Docker in."""
    world = make_world(basic)
    world.clone.project.write(".uc/password", PASSWORD)
    environment = {
        "UC_REGISTRY_USERNAME": USER, "UC_REGISTRY_PASSWORD_FILE": ".uc/password", "DOCKER_CONFIG": str(tmp_path / "docker"),
    }  # fmt: skip

    ran = world.clone.inv("release", "--skip-smoke", **environment)

    assert ran.code == 0, ran.text
    assert PASSWORD not in ran.text


# Pages, redirects, retries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["", "http://{address}"])
def test_tags_come_page_after_page(faulty: World, proxy: Proxy, hub: Hub, start: str) -> None:
    """A registry that gives ten tags at a time and a Link to the next page is asked until there is none."""
    repository = f"{faulty.namespace}/release"
    names = sorted(f"1.{number}.0" for number in range(25))
    for name in names:
        hub.put(repository, name, OTHER, INDEX)

    def page(request: Request) -> Answer:
        """Ten tags after `last`, and where the next are (OCI distribution specification, "Listing Tags")."""
        path, _, query = request.path.partition("?")
        after = urllib.parse.parse_qs(query).get("last", [""])[0]
        tags = [name for name in names if name > after]
        link = (
            f'<{start.format(address=proxy.address)}{path}?n=10&last={tags[9]}>; rel="next"' if len(tags) > 10 else ""
        )
        body = json.dumps({"name": repository, "tags": tags[:10]}).encode()
        return Answer(200, {"Content-Type": "application/json"} | ({"Link": link} if link else {}), body)

    proxy.rules = [Rule("GET .*/tags/list", page, times=ALWAYS)]

    with Distribution(faulty.clone.project.load()) as registry:
        found = registry.tags(repository)

    assert found == names == sorted(hub.tags(repository))
    assert proxy.count("GET .*/tags/list") == 3


@pytest.fixture
def store() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A blob store beside the registry: its URL, and the headers of each request that it got."""
    asked: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers.items()))
            self.send_response(200)
            self.send_header("Content-Length", str(len(BLOB)))
            self.end_headers()
            self.wfile.write(BLOB)

        def log_message(self, format: str, *args: object) -> None:
            """It keeps its own memory."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bucket/blob", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_blob_may_be_elsewhere(
    project: Project, registry: object, proxy: Proxy, store: tuple[str, list[dict[str, str]]], code: int
) -> None:
    """A registry may send the reader of a blob to a store, which gets no login of the registry's; the bytes are checked."""
    url, asked = store
    proxy.rules = [
        Rule("GET .*/blobs/", lambda _request: Answer(code, {"Location": url}), times=ALWAYS),
        Rule("HEAD .*/blobs/", lambda _request: Answer(code, {"Location": url}), times=ALWAYS),
    ]

    with client(project, proxy.address) as found:
        found._tokens[""] = "Basic c2VjcmV0"
        assert found.blob("test/web", digest_of(BLOB)) == BLOB
        assert found.has_blob("test/web", digest_of(BLOB))
        with pytest.raises(RegistryError, match="sends other bytes than"):
            found.blob("test/web", digest_of(b"other"))

    assert [headers for headers in asked if "Authorization" in headers] == []


def test_retry_after_is_obeyed(project: Project, proxy: Proxy) -> None:
    """After 429 with Retry-After the client waits that long before it asks again."""
    proxy.rules = [Rule("GET /v2/$", status(429, Retry_After="1"))]

    started = time.monotonic()
    with client(project, proxy.address) as registry:
        registry.ping()

    assert time.monotonic() - started >= 1
    assert proxy.count("GET /v2/ ") == 2


@pytest.mark.parametrize("code", [400, 403, 404, 405, 412])
def test_a_refusal_is_not_tried_again(project: Project, proxy: Proxy, code: int) -> None:
    """4xx is an answer: it is told at once, with its status."""
    proxy.rules = [Rule("PUT ", status(code), times=ALWAYS)]

    with client(project, proxy.address) as registry, pytest.raises(RegistryError) as caught:
        registry.put_manifest("test/web", "1.0.0", OTHER, INDEX)

    assert caught.value.status == code
    assert proxy.count("PUT ") == 1


def test_a_manifest_is_checked_against_its_digest(world: World, proxy: Proxy) -> None:
    """A registry or a proxy that sends other bytes than the digest asked for is not believed."""
    ok(world.clone.release())
    digest = world.hub.digest(f"{world.namespace}/one", "0.1.0")
    proxy.rules = [
        Rule("GET .*/manifests/", lambda _request: Answer(200, {"Content-Type": INDEX}, OTHER), times=ALWAYS)
    ]

    with client(world.clone.project, proxy.address) as registry, pytest.raises(RegistryError, match="sends sha256:"):
        registry.manifest(f"{world.namespace}/one", digest)
