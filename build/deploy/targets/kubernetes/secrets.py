"""The secrets of a set in its cluster: one object each, whose value changes in place, and what a journal says of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy import sets
from build.deploy.target import DeployedSet
from build.errors import SecretError
from build.stack import kubernetes, pods, secrets


class ClusterSecrets:
    """The values that were read from files on this machine, until they are written to the cluster.

    A value is called OBJECT:FINGERPRINT, so that a set in which only a value has changed differs from the one before;
    the fingerprint is slow to compute, since a journal is open to more people than the value.
    """

    def __init__(self, manifest: Manifest, settings: TargetSettings) -> None:
        self._manifest = manifest
        self._settings = settings
        self._project = sets.project(manifest, settings)
        self._contents: dict[str, tuple[str, bytes]] = {}

    def read(self, paths: Mapping[str, Path], current: DeployedSet | None) -> dict[str, str]:
        """What each secret's value is called; of one without a file, what it is called in the current set.

        Raises SecretError for one that has neither, or whose file is open to others.
        """
        kept = current.secrets if current else {}
        return kept | self._all([name for name, path in paths.items() if path.exists() or name not in kept])

    def renewed(self, current: DeployedSet, secret: str) -> DeployedSet:
        """The set with the value that the secret's file has now. Raises SecretError without one."""
        return _with_values(current, self._all([secret]))

    def objects(self, wanted: DeployedSet, namespace: str) -> list[dict[str, Any]]:
        """The Secret objects of the values that were read and that the set needs."""
        needed = set(wanted.secrets.values())
        return [
            kubernetes.secret(self._project, namespace, name, value)
            for stored, (name, value) in self._contents.items()
            if stored in needed
        ]

    def lacking(self, wanted: Mapping[str, str]) -> set[str]:
        """The objects of those values of a set that were not read: they have to be in the cluster."""
        return {stored.partition(":")[0] for stored in wanted.values() if stored not in self._contents}

    def redacted(self, text: str) -> str:
        """The text with *** in place of every value that was read."""
        for _, value in self._contents.values():
            for form in (value.decode("utf-8", "replace").strip(), base64.b64encode(value).decode()):
                text = text.replace(form, "***") if form else text
        return text

    def _all(self, names: Collection[str]) -> dict[str, str]:
        folder = sets.secrets(self._manifest, self._settings)
        secrets.check(self._manifest, names, folder=folder)
        return {name: self._one(name, folder / name) for name in names}

    def _one(self, name: str, path: Path) -> str:
        try:
            value = path.read_bytes()
        except OSError as error:
            raise SecretError(f"secret {name}: {path} can't be read: {error.strerror}") from None
        salt = f"{self._project}/{name}".encode()
        stored = f"{pods.secret_name(name)}:{hashlib.scrypt(value, salt=salt, n=1 << 14, r=8, p=1, dklen=6).hex()}"
        self._contents[stored] = name, value
        return stored


def with_values_of(wanted: DeployedSet, current: DeployedSet | None) -> DeployedSet:
    """The set with the values that the current one has."""
    return _with_values(wanted, current.secrets if current else {})


def names(deployed: DeployedSet) -> set[str]:
    """The objects that hold the secrets of a set."""
    return {stored.partition(":")[0] for stored in deployed.secrets.values()}


def _with_values(deployed: DeployedSet, values: Mapping[str, str]) -> DeployedSet:
    specs = {
        name: replace(spec, secrets={secret: values.get(secret, stored) for secret, stored in spec.secrets.items()})
        for name, spec in deployed.specs.items()
    }
    return replace(deployed, specs=specs)
