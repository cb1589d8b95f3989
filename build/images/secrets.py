"""Files that a build mounts: configured build secrets, and an empty placeholder for each one that is not configured."""

from __future__ import annotations

import os
from pathlib import Path

from build.config.manifest import Manifest
from build.config.workspace import Workspace
from build.errors import SecretError

_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def path(manifest: Manifest, name: str) -> Path:
    """The file that is mounted as build secret `name`; an empty one when the secret is not configured.

    Dockerfiles mount every secret with required=true, so a build that leaves one out fails instead of going on.
    Raises SecretError when a configured file does not exist.
    """
    value = manifest.build_secrets[name]
    if value == "auto":
        candidates = (os.environ.get("SSL_CERT_FILE", ""), *_CA_BUNDLES)
        value = next((bundle for bundle in candidates if bundle and Path(bundle).is_file()), "")
    if not value:
        return _empty_file(manifest.workspace)
    file = manifest.root / value
    if not file.is_file():
        message = f"build_secrets.{name}: no such file: {value}"
        raise SecretError(message, hint=f'create the file, or set build_secrets.{name} = "" in versions.local.toml')
    return file


def _empty_file(workspace: Workspace) -> Path:
    file = workspace.empty_secret
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    return file


def empty_folder(workspace: Workspace) -> Path:
    """An empty folder: the build context of a source that is not configured."""
    folder = workspace.empty_source
    folder.mkdir(parents=True, exist_ok=True)
    return folder
