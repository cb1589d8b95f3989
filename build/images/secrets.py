"""What a build may mount: the files of configured build secrets, and an empty stand-in for each that is not."""

from __future__ import annotations

import os
from pathlib import Path

from build.config.manifest import Manifest
from build.errors import SecretError

_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def path(manifest: Manifest, name: str) -> Path:
    """The file that is mounted as build secret `name`; an empty one when it is not configured.

    Dockerfiles mount every secret with required=true, so a build that forgets one fails instead of going on without.
    Raises SecretError when a configured file is not there.
    """
    value = manifest.build_secrets[name]
    if value == "auto":
        candidates = (os.environ.get("SSL_CERT_FILE", ""), *_CA_BUNDLES)
        value = next((one for one in candidates if one and Path(one).is_file()), "")
    if value:
        found = manifest.root / value
        if not found.is_file():
            message = f"build_secrets.{name}: no such file: {value}"
            raise SecretError(message, hint=f'make the file, or set build_secrets.{name} = "" in versions.local.toml')
        return found
    found = manifest.workspace.empty_secret
    found.parent.mkdir(parents=True, exist_ok=True)
    found.touch(mode=0o600)
    return found


def empty_folder(manifest: Manifest) -> Path:
    """An empty folder: the build context of a source that is not configured."""
    folder = manifest.workspace.empty_source
    folder.mkdir(parents=True, exist_ok=True)
    return folder
