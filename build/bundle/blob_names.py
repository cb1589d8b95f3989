"""What each blob of a bundle is, in words: a hash alone says nothing about what was changed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from build.bundle.collect import DATABASE
from build.bundle.content import name_of
from build.bundle.form import BUNDLE, Contents, Put, decode
from build.errors import VerificationFailed
from build.registry import tree
from build.registry.body import Part
from build.registry.oci import EMPTY, digest_of
from build.registry.tree import ManifestBody

_ATTACHED = {"sig": "signature", "att": "attestations", "sbom": "bill of materials"}


def blob_names(parts: Mapping[str, Part]) -> dict[str, str]:
    """Map the files of blobs to what the bundle's table says of them; those that nothing readable names are left out.

    The bundle may be damaged anywhere, its table too: this is for messages alone.
    """
    try:
        contents = decode(parts[BUNDLE].read())
    except VerificationFailed:
        return {}
    names: dict[str, str] = {}
    for put in contents.put:
        kind, whole = _title(contents, put)
        names.setdefault(name_of(put.digest), f"{kind} of {whole}")
        for role, digest in _below(parts, put):
            names.setdefault(name_of(digest), f"{role if kind == 'manifest' else kind} of {whole}")
    names.pop(name_of(digest_of(EMPTY)), None)  # the config of every artifact
    return names


def _title(contents: Contents, put: Put) -> tuple[str, str]:
    kind = _ATTACHED.get(put.tag.rpartition(".")[2]) if put.tag.startswith("sha256-") else None
    if kind:
        return kind, put.repository
    if put.repository == DATABASE:
        return "content", "the vulnerability database"
    if (put.repository, put.tag) in {(one.repository, one.version) for one in contents.releases}:
        return "record", put.tag
    return "manifest", f"{put.repository} {put.tag}".rstrip()


def _below(parts: Mapping[str, Part], put: Put) -> list[tuple[str, str]]:
    """The config and the layers that a manifest names, with what each is; none of one that can't be read."""
    try:
        body: ManifestBody = json.loads(parts[name_of(put.digest)].read())
        return [("config" if part is body["config"] else "layer", part["digest"]) for part in tree.parts(body)]
    except (KeyError, TypeError, AttributeError, ValueError):
        return []
