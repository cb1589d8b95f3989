"""The registry client's logins over real sockets: passwords, helpers, tokens; and where passwords never appear."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build.errors import RegistryError
from build.registry.oci import digest_of
from tests.release.queries import BLOB, INDEX, OTHER, client
from tests.release.token_service import HTPASSWD, IDENTITY, ISSUER, PASSWORD, SERVICE, USER, TokenService
from tests.support.project import Project
from tests.support.secured import serve
from tests.support.server import free_address
from tests.support.world import World

HOST = f"127.{10 + os.getpid() % 200}.9.9"


@pytest.fixture
def address() -> str:
    """A free loopback address."""
    return free_address(HOST)


@pytest.fixture
def login(project: Project) -> dict[str, str]:
    """The settings of a login from a secret file."""
    project.write(".uc/password", f"{PASSWORD}\n")
    return {"UC_REGISTRY_USERNAME": USER, "UC_REGISTRY_PASSWORD_FILE": ".uc/password"}


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
    """The manifest's user and password file log in; no login and a wrong password are refused with a remedy."""
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
    """The login from Docker's credential helper is used, with no password in any file."""
    _helper(tmp_path, monkeypatch, USER, PASSWORD)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {basic: "vault"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with client(project, basic) as registry:
        registry.ping()
        assert registry.tags("test/web") == []


def test_tokens_are_asked_for_by_scope_and_kept(
    project: Project, bearer: str, tokens: TokenService, login: dict[str, str]
) -> None:
    """A token is requested when the registry demands one, with the scope it names, and reused while it is valid."""
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
    """A cloud login leaves an identity token instead of a password: it is exchanged with OAuth2 at the token service."""
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


def test_an_identity_token_is_not_a_password(
    project: Project, basic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry with basic auth gets no identity token: the request is refused with a remedy."""
    (tmp_path / "config.json").write_text(json.dumps({"auths": {basic: {"identitytoken": IDENTITY}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with client(project, basic) as registry, pytest.raises(RegistryError, match="refuses") as caught:
        registry.ping()

    assert "docker login" in caught.value.hint
    assert registry.logins.tokens == {}


def test_a_token_that_ran_out_is_renewed(
    project: Project, bearer: str, tokens: TokenService, login: dict[str, str]
) -> None:
    """A long release outlives its tokens: after a 401 midway a new one is requested, and the request succeeds."""
    with client(project, bearer, **login) as registry:
        registry.put_manifest("test/web", "1.0.0", OTHER, INDEX)
        first = len(tokens.given)
        for scope in list(registry.logins.tokens):
            registry.logins.tokens[scope] = "Bearer " + tokens._token([]).replace(".", ".x", 1)
        registry.put_manifest("test/web", "1.0.1", OTHER, INDEX)

    assert len(tokens.given) > first


def test_a_token_without_the_right_is_a_refusal(
    project: Project, bearer: str, tokens: TokenService, login: dict[str, str]
) -> None:
    """If the service grants fewer rights than requested, the client stops after a second try and says who refused."""
    tokens.grant = lambda actions: [one for one in actions if one == "pull"]

    with client(project, bearer, **login) as registry:
        assert registry.tags("test/web") == []
        with pytest.raises(RegistryError, match="refuses") as caught:
            registry.prove_push("test/web")

    assert caught.value.status == 401
    assert len(tokens.asked) <= 5


def test_a_mount_works_with_tokens(project: Project, bearer: str, tokens: TokenService, login: dict[str, str]) -> None:
    """Mounting a blob from another repository needs rights on both, and requests them."""
    with client(project, bearer, **login) as registry:
        registry.put_blob("test/web", digest_of(BLOB), BLOB)

        assert registry.put_blob("test/api", digest_of(BLOB), BLOB, mount_from="test/web") is False
        assert registry.blob("test/api", digest_of(BLOB)) == BLOB


def test_a_release_needs_no_password_in_sight(
    make_world: Callable[..., World], registry_program: str, tmp_path: Path, address: str, tokens: TokenService
) -> None:
    """In a whole release under token auth, the password is in no process argument, no output and no state file."""
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
        world.clone.touch()
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
    """Trivy reads the candidates with the manifest's login, even if Docker is not logged in."""
    world = make_world(basic)
    world.clone.project.write(".uc/password", PASSWORD)
    environment = {
        "UC_REGISTRY_USERNAME": USER, "UC_REGISTRY_PASSWORD_FILE": ".uc/password", "DOCKER_CONFIG": str(tmp_path / "docker"),
    }  # fmt: skip

    ran = world.clone.inv("release", "--skip-smoke", **environment)

    assert ran.code == 0, ran.text
    assert PASSWORD not in ran.text
