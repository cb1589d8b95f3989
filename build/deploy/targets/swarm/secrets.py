"""The secrets of a swarm: immutable, so each value has its own, named by the hash of its content."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy import sets
from build.deploy.target import DeployedSet, Spec
from build.engine.api import Api, ApiError
from build.errors import SecretError
from build.stack import swarm
from build.stack.swarm import PROJECT_LABEL, STACK_LABEL

_EMPTY = b"\n"  # an external secret that nobody has filled in: a swarm takes no empty one
_NAME = 64


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a project, from the files of a folder."""

    api: Api
    project: str
    manifest: Manifest
    settings: TargetSettings

    @property
    def folder(self) -> Path:
        """Where the files are. Raises SecretError as `secret_folder.locate` does."""
        return sets.secrets(self.manifest, self.settings)

    def names(self, wanted: Collection[str], current: DeployedSet | None) -> dict[str, str]:
        """What the swarm calls the value of each secret.

        One whose file is missing or empty keeps what the `current` set has. Raises SecretError, naming each, for those
        that have neither.
        """
        kept = current.secrets if current else {}
        names, problems = {}, []
        for secret in wanted:
            value = self._value(secret)
            if not value and secret in kept:
                names[secret] = kept[secret]
            elif value is not None and (value or self.manifest.secrets.get(secret) == "external"):
                names[secret] = self._name(secret, value or _EMPTY)
            else:
                problems.append(f"secret {secret}: {self.folder / secret} is {'missing' if value is None else 'empty'}")
        if problems:
            raise SecretError("\n".join(problems), hint="./inv secrets.init, or secrets = FOLDER of the target")
        return names

    def from_file(self, secret: str) -> str:
        """What the swarm calls the value that is in the secret's file. Raises SecretError without one."""
        return self.names([secret], None)[secret]

    def ids(self) -> dict[str, str]:
        """The ID of every secret of the swarm, by name."""
        return {entry["Spec"]["Name"]: entry["ID"] for entry in self.api.get("/secrets")}

    def missing(self, wanted: Mapping[str, str], present: Collection[str]) -> list[str]:
        """Which of these values (secret → name) are neither in the swarm nor in the folder."""
        return [name for secret, name in wanted.items() if name not in present and self._content(secret, name) is None]

    def create(self, wanted: Mapping[str, str]) -> None:
        """Have each of these values (secret → name) in the swarm. Raises SecretError for one that is gone."""
        present = self.ids()
        for secret, name in wanted.items():
            if name in present:
                continue
            content = self._content(secret, name)
            if content is None:
                message = f"secret {secret}: {name} is gone, and {self.folder / secret} has another value"
                raise SecretError(message, hint=f"write that value to {self.folder / secret}")
            body = {
                "Name": name,
                "Labels": {STACK_LABEL: self.project, PROJECT_LABEL: self.project},
                "Data": base64.b64encode(content).decode(),
            }
            try:
                self.api.post("/secrets/create", body)
            except ApiError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise

    def sweep(self, kept: Collection[str]) -> None:
        """Remove the project's secrets that are not `kept`; one that a service still has stays."""
        for entry in self.api.get("/secrets", filters={"label": [f"{PROJECT_LABEL}={self.project}"]}):
            if entry["Spec"]["Name"] not in kept:
                try:
                    self.api.delete(f"/secrets/{entry['ID']}")
                except ApiError as error:
                    if "in use" not in error.reason:
                        raise

    def _content(self, secret: str, name: str) -> bytes | None:
        """The value of the file, if it is the one with this name."""
        value = self._value(secret)
        if value is None:
            return None
        content = value or _EMPTY
        return content if self._name(secret, content) == name else None

    def _value(self, secret: str) -> bytes | None:
        path = self.folder / secret
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            hint = "run as the user who created it (root, if that was sudo)"
            raise SecretError(f"secret {secret}: {path}: {error.strerror}", hint=hint) from None

    def _name(self, secret: str, value: bytes) -> str:
        tail = f"_{hashlib.sha256(value).hexdigest()[:12]}"
        return f"{self.project}_{secret}"[: _NAME - len(tail)] + tail


def revalued(wanted: DeployedSet, names: Mapping[str, str]) -> DeployedSet:
    """A set in which the secrets of `names` (secret → name in the swarm) have these values, the others theirs."""
    return replace(wanted, specs={name: _revalued(spec, names) for name, spec in wanted.specs.items()})


def _revalued(spec: Spec, names: Mapping[str, str]) -> Spec:
    held = {key: names.get(key, name) for key, name in spec.secrets.items()}
    return replace(spec, document=swarm.with_secrets(spec.document, held), secrets=held)
