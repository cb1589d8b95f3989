"""What a registry stores of a release: its record, its mark of withdrawal, its images."""

from __future__ import annotations

import json

from semver import Version

from build.errors import RegistryError
from build.registry.client import RegistryClient
from build.registry.content import Content
from build.registry.oci import RawManifest, document_of
from build.release.names import yank_tag
from build.release.record import RECORD_TYPE, YANK_TYPE, NoRecord, Record, decode

UNREADABLE = "unreadable"
_REASON_LOST = "its reason is lost"


def digest_unless_unreadable(registry: RegistryClient, repository: str, tag: str, *, new: bool = False) -> str | None:
    """The digest that a tag names, None if there is none, UNREADABLE if the registry fails (5xx) however often asked.

    Distribution leaves a tag's link file empty if the disk is full, and answers 500 until the tag is put again. So
    whoever has the right to put it, and the bytes, does. Raises RegistryError for any other failure.
    """
    try:
        return registry.digest(repository, tag, new=new)
    except RegistryError as error:
        if error.status < 500:
            raise
        return UNREADABLE


def fetch(registry: RegistryClient, repository: str, version: Version | str) -> Record | None:
    """The record of a complete release, or None; `version` may be a float. Raises NoRecord for anything else there."""
    document = _document(registry, repository, str(version), RECORD_TYPE)
    if document is None:
        return None
    record = decode(document)
    if record.version != str(version) and not record.version.startswith(f"{version}."):
        raise NoRecord(f"{repository}:{version} is the record of {record.version}", hint="./inv releases")
    return record


def yank_reason(registry: RegistryClient, repository: str, version: Version | str) -> str | None:
    """Why a release was withdrawn, or None if it was not. A mark counts even if its reason can't be read."""
    if registry.digest(repository, yank_tag(version), new=True) is None:
        return None
    try:
        document = _document(registry, repository, yank_tag(version), YANK_TYPE)
        return str(json.loads(document or b"")["reason"])
    except (NoRecord, ValueError, LookupError, TypeError):
        return _REASON_LOST


def _document(registry: RegistryClient, repository: str, tag: str, kind: str) -> bytes | None:
    stored = registry.manifest(repository, tag)
    if stored is None:
        return None
    if not (digest := document_of(stored.content, kind)):
        raise NoRecord(f"{repository}:{tag} is not of type {kind}: something else wrote it", hint="./inv releases")
    return registry.blob(repository, digest)


class ImageGone(RegistryError):
    """An image that a release names is not in the registry any more."""


def load(registry: Content, repository: str, digest: str) -> RawManifest:
    """The manifest with this digest. Raises ImageGone if the registry lacks it."""
    stored = registry.manifest(repository, digest)
    if stored is None:
        raise ImageGone(
            f"the registry has no {repository}@{digest}", hint="restore it, or give the version up: ./inv yank"
        )
    return stored
