"""Logins as Docker keeps them: auths, credHelpers, credsStore, with a real helper program on PATH."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from build.errors import RegistryError
from build.registry import credentials
from tests.support.project import Project

CANARY = "canary-Pa55:with:colons"
HELPER = """\
#!/bin/sh
printf '%s\\n' "$*" >> "{folder}/arguments"
read -r server
printf '%s\\n' "$server" >> "{folder}/asked"
case "$server" in
  registry.example) printf '{{"ServerURL":"x","Username":"release","Secret":"%s"}}' "{secret}" ;;
  odd.example) printf 'hello' ;;
  broken.example) echo "the keyring is locked" >&2; exit 1 ;;
  *) echo "credentials not found in native keychain"; exit 1 ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker-credential-vault on PATH; the folder in which it writes what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-vault"
    program.write_text(HELPER.format(folder=folder, secret=CANARY))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def _config(tmp_path: Path, config: Any) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return file


def _auth(user: str, secret: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("registry.example", "registry.example"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v2/", "registry.example"),
        ("http://registry.example:5000", "registry.example:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_a_login_of_the_file(tmp_path: Path, name: str, address: str) -> None:
    """A login is found under each name that docker login has written through the years; colons stay in the password."""
    file = _config(tmp_path, {"auths": {name: _auth("release", CANARY)}})

    assert credentials.from_docker(file, address) == ("release", CANARY)


def test_an_identity_token_comes_before_an_empty_password(tmp_path: Path) -> None:
    """What a cloud's login writes: a user that is nobody without a password, and the token that counts."""
    entry = _auth("00000000-0000-0000-0000-000000000000", "") | {"identitytoken": CANARY}
    file = _config(tmp_path, {"auths": {"registry.example": entry}})

    assert credentials.from_docker(file, "registry.example") == (credentials.IDENTITY, CANARY)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"auths": {}},
        {"auths": None},
        {"auths": {"registry.example": {}}},
        {"auths": {"other.example": _auth("a", "b")}},
    ],
)
def test_nobody_logged_in(tmp_path: Path, config: Any) -> None:
    """Without a login for this registry there is none, and neither is there without a file."""
    assert credentials.from_docker(_config(tmp_path, config), "registry.example") is None
    assert credentials.from_docker(tmp_path / "absent.json", "registry.example") is None


@pytest.mark.parametrize(
    "config",
    [
        {"credHelpers": {"registry.example": "vault"}, "auths": {"registry.example": _auth("old", "old")}},
        {"credsStore": "vault", "auths": {"registry.example": {}}},
        {"credsStore": "vault"},
    ],
)
def test_a_helper_is_asked_on_its_input(tmp_path: Path, helper: Path, config: Any) -> None:
    """A helper of the host comes before the file, the store for all hosts after it; no argument but `get` is given."""
    found = credentials.from_docker(_config(tmp_path, config), "registry.example")

    assert found == ("release", CANARY)
    assert (helper / "arguments").read_text() == "get\n"
    assert (helper / "asked").read_text() == "registry.example\n"


def test_a_login_of_the_file_comes_before_the_store(tmp_path: Path, helper: Path) -> None:
    """The store is not asked where the file itself has a login."""
    config = {"credsStore": "vault", "auths": {"registry.example": _auth("release", "of the file")}}

    assert credentials.from_docker(_config(tmp_path, config), "registry.example") == ("release", "of the file")
    assert not (helper / "asked").exists()


def test_a_helper_that_has_nothing(tmp_path: Path, helper: Path) -> None:
    """ "credentials not found" is an answer: nobody logged in."""
    assert credentials.from_docker(_config(tmp_path, {"credsStore": "vault"}), "elsewhere.example") is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("broken.example", "failed to return credentials for broken.example"),
        ("odd.example", "returned no valid credentials"),
    ],
)
def test_a_helper_that_fails(tmp_path: Path, helper: Path, address: str, reason: str) -> None:
    """A helper that ends with a failure, or says something odd, is named, and so is what it said."""
    with pytest.raises(RegistryError, match=reason) as caught:
        credentials.from_docker(_config(tmp_path, {"credsStore": "vault"}), address)

    assert CANARY not in f"{caught.value}{caught.value.output}{caught.value.hint}"


def test_a_helper_that_is_missing(tmp_path: Path) -> None:
    """A helper that is configured and not installed is named, with the other way to log in."""
    with pytest.raises(RegistryError, match="docker-credential-nowhere, which is not on PATH") as caught:
        credentials.from_docker(_config(tmp_path, {"credsStore": "nowhere"}), "registry.example")

    assert "password_file" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"x"',
        '{"auths": ["registry.example"]}',
        '{"credHelpers": ["vault"]}',
        '{"auths": {"registry.example": {"auth": "not base64!"}}}',
        '{"auths": {"registry.example": {"auth": 5}}}',
    ],
)
def test_a_broken_configuration(tmp_path: Path, text: str) -> None:
    """A config.json that can't be read is told by its path, and the broken login's text stays out of the message."""
    file = tmp_path / "config.json"
    file.write_text(text)

    with pytest.raises(RegistryError, match=r"config\.json") as caught:
        credentials.from_docker(file, "registry.example")

    assert "not base64!" not in str(caught.value)


def test_the_manifest_comes_first(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """[registry] username and password_file come before what docker login left."""
    monkeypatch.setenv("DOCKER_CONFIG", str(project.root))
    project.write("config.json", json.dumps({"auths": {"127.0.0.1:5000": _auth("docker", "docker")}}))
    project.write("password", f"{CANARY}\n")

    assert credentials.find(project.load()) == ("docker", "docker")
    manifest = project.load(UC_REGISTRY_USERNAME="release", UC_REGISTRY_PASSWORD_FILE="password")
    assert credentials.find(manifest) == ("release", CANARY)


def test_a_password_file_that_is_missing(project: Project) -> None:
    """A password file that can't be read is named."""
    manifest = project.load(UC_REGISTRY_USERNAME="release", UC_REGISTRY_PASSWORD_FILE="absent")

    with pytest.raises(RegistryError, match=r"registry\.password_file: .*absent: No such file"):
        credentials.find(manifest)


def test_the_helper_is_a_real_one(helper: Path) -> None:
    """The stand-in of these tests speaks the helpers' protocol: the server on its input, JSON on its output."""
    program = str(helper / "docker-credential-vault")
    done = subprocess.run([program, "get"], input="registry.example", capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["Secret"] == CANARY
