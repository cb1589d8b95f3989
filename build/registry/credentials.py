"""Who logs in to a registry: the manifest's user and password file, else what `docker login` left.

The rules of Docker's config.json: a helper for the host, else a login of the file, else the store for all hosts.
A password is never on a command line: a helper is asked on its standard input.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.errors import RegistryError, ToolFailed
from build.process import run

# The user of a login by identity token, as credential helpers call it: the secret is traded for access, no password.
IDENTITY = "<token>"
_HUB = "https://index.docker.io/v1/"


def password(manifest: Manifest) -> str:
    """The content of `registry.password_file`. Raises RegistryError when it can't be read."""
    path = manifest.root / manifest.registry.password_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        message = f"registry.password_file: {path}: {error.strerror}"
        raise RegistryError(message, hint="write the password there") from None


def find(manifest: Manifest) -> tuple[str, str] | None:
    """(user, password) for the manifest's registry; None where nobody logged in.

    Raises RegistryError for an unreadable password file or configuration, or a helper that fails.
    """
    settings = manifest.registry
    if settings.username:
        return settings.username, password(manifest)
    return from_docker(docker_config(), settings.address)


def docker_config() -> Path:
    """Where Docker keeps its logins."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def read(file: Path) -> dict[str, Any]:
    """Docker's config.json, with its tables `auths` and `credHelpers`, which are empty where there is none.

    Raises RegistryError for a file that can't be read, or is something else.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError) as error:
        raise RegistryError(f"{file}: {error}", hint="mend it, or docker login again") from None
    if not isinstance(config, dict):
        raise RegistryError(f"{file}: expected an object", hint="mend it, or docker login again")
    tables = {key: config.get(key) or {} for key in ("auths", "credHelpers")}
    if wrong := [key for key, table in tables.items() if not isinstance(table, dict)]:
        raise RegistryError(f"{file}: {wrong[0]}: expected an object", hint="mend it, or docker login again")
    return config | tables


def from_docker(file: Path, address: str) -> tuple[str, str] | None:
    """(user, password) that Docker's config.json `file` has for the registry at `address`, or None.

    The user IDENTITY has an identity token in the password's place.
    """
    config = read(file)
    server = _HUB if address in {"docker.io", "registry-1.docker.io"} else address
    if helper := config["credHelpers"].get(address):
        return _ask(helper, server)
    for name in (server, f"https://{server}", f"https://{server}/v2/", f"http://{server}"):
        if found := _login(file, config["auths"].get(name)):
            return found
    return _ask(config["credsStore"], server) if config.get("credsStore") else None


def _login(file: Path, entry: Any) -> tuple[str, str] | None:
    if not isinstance(entry, dict):
        return None
    if token := entry.get("identitytoken"):
        return IDENTITY, str(token)
    if not entry.get("auth"):
        return None
    try:
        user, _, secret = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (ValueError, TypeError):
        raise RegistryError(f"{file}: a login in it is not base64", hint="docker login again") from None
    return user, secret.rstrip("\0")


def _ask(helper: str, server: str) -> tuple[str, str] | None:
    """What docker-credential-HELPER says (docker/docker-credential-helpers, protocol); None when it has nothing."""
    program = f"docker-credential-{helper}"
    if shutil.which(program) is None:
        message = f"Docker's config.json names the credential helper {program}, which is not on PATH"
        raise RegistryError(message, hint="install it, or set [registry] username and password_file")
    try:
        answer = run([program, "get"], stdin=server, timeout=30).stdout
    except ToolFailed as error:
        if "credentials not found" in error.output:
            return None
        raise RegistryError(f"{program} gives no login for {server}", output=error.output) from None
    try:
        entry = json.loads(answer)
        return entry["Username"], entry["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"{program} answers something else than a login", hint="docker login again") from None
