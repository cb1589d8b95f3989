"""Registry credentials: the manifest's user and password file, else those of `docker login`.

Docker's config.json is read in Docker's order: the host's credential helper, the file's own entry, the default store.
No secret is ever on a command line: helpers and `docker login` are spoken to on their standard input.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.engine.client import docker
from build.errors import RegistryError, ToolFailed
from build.process import run

# The user name of an identity token, as credential helpers write it: the secret is a refresh token, not a password.
IDENTITY = "<token>"
_HUB = "https://index.docker.io/v1/"


def password(manifest: Manifest) -> str:
    """Return the content of `registry.password_file`, stripped. Raises RegistryError if it can't be read."""
    path = manifest.root / manifest.registry.password_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        message = f"registry.password_file: {path}: {error.strerror}"
        raise RegistryError(message, hint="write the password there") from None


def find(manifest: Manifest) -> tuple[str, str] | None:
    """Return (user, password) for the manifest's registry, None if there are no credentials.

    Raises RegistryError for an unreadable password file or configuration, or if a helper fails.
    """
    return configured(manifest) or from_docker(docker_config(), manifest.registry.address)


def configured(manifest: Manifest) -> tuple[str, str] | None:
    """Return (user, password) that Docker does not know of, None if there are none: the place for a special login.

    Raises RegistryError for an unreadable password file.
    """
    settings = manifest.registry
    return (settings.username, password(manifest)) if settings.username else None


def login(manifest: Manifest) -> None:
    """Log the Docker engine in with what is configured; without credentials of ours, do nothing.

    Raises RegistryError for an unreadable password file, ToolFailed if the registry refuses.
    """
    if credentials := configured(manifest):
        user, secret = credentials
        argv = [docker(), "login", "--username", user, "--password-stdin", manifest.registry.address]
        run(argv, stdin=secret, timeout=60)


def docker_config() -> Path:
    """Return the path of Docker's config.json, which holds its logins."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def read(file: Path) -> dict[str, Any]:
    """Return Docker's config.json; `auths` and `credHelpers` are always there, empty if the file lacks them.

    A missing file counts as an empty one. Raises RegistryError if it can't be read, or is malformed.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError) as error:
        raise RegistryError(f"{file}: {error}", hint="fix it, or docker login again") from None
    if not isinstance(config, dict):
        raise RegistryError(f"{file}: expected an object", hint="fix it, or docker login again")
    tables = {key: config.get(key) or {} for key in ("auths", "credHelpers")}
    if malformed := [key for key, table in tables.items() if not isinstance(table, dict)]:
        raise RegistryError(f"{file}: {malformed[0]}: expected an object", hint="fix it, or docker login again")
    return config | tables


def proxies() -> dict[str, Any]:
    """The proxies that Docker's config.json has for builds and containers. Raises RegistryError as `read` does."""
    table: dict[str, Any] = read(docker_config()).get("proxies") or {}
    return table


def from_docker(file: Path, address: str) -> tuple[str, str] | None:
    """Return (user, password) for the registry at `address` from Docker's config.json, None if it has none.

    For the user IDENTITY, the password is an identity token. Raises RegistryError as `read` does, or if a helper fails.
    """
    config = read(file)
    server = _HUB if address in {"docker.io", "registry-1.docker.io"} else address
    if helper := config["credHelpers"].get(address):
        return _from_helper(helper, server)
    for name in (server, f"https://{server}", f"https://{server}/v2/", f"http://{server}"):
        if login := _from_entry(file, config["auths"].get(name)):
            return login
    return _from_helper(config["credsStore"], server) if config.get("credsStore") else None


def _from_entry(file: Path, entry: Any) -> tuple[str, str] | None:
    if not isinstance(entry, dict):
        return None
    if token := entry.get("identitytoken"):
        return IDENTITY, str(token)
    if not entry.get("auth"):
        return None
    try:
        user, _, secret = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (ValueError, TypeError):
        raise RegistryError(f"{file}: an entry of auths is not base64", hint="docker login again") from None
    return user, secret.rstrip("\0")


def _from_helper(helper: str, server: str) -> tuple[str, str] | None:
    """Ask docker-credential-HELPER (docker/docker-credential-helpers, protocol); None if it has no credentials."""
    program = f"docker-credential-{helper}"
    if shutil.which(program) is None:
        message = f"Docker's config.json names the credential helper {program}, which is not on PATH"
        raise RegistryError(message, hint="install it, or set [registry] username and password_file")
    try:
        answer = run([program, "get"], stdin=server, timeout=30).stdout
    except ToolFailed as error:
        if "credentials not found" in error.output:
            return None
        raise RegistryError(f"{program} failed to return credentials for {server}", output=error.output) from None
    try:
        entry = json.loads(answer)
        return entry["Username"], entry["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"{program} returned no valid credentials", hint="docker login again") from None
