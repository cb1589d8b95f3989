"""What differs between two images: the configuration by its keys, the layers by their files."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build.images.layout import ATTESTATION, Layout
from build.registry.tree import ManifestBody

_MOST = 20  # of one kind, in one layer
# Two commits with equal content differ in these: they say which commit it was.
OF_COMMIT = (
    ".config.Labels.org.opencontainers.image.revision",
    ".config.Labels.org.opencontainers.image.version",
    ".config.Labels.org.opencontainers.image.created",
    ".created",
    ".history[].created",
)


@dataclass(frozen=True, slots=True)
class Platform:
    """The image of one platform in a layout: its digest, its manifest, the layout."""

    digest: str
    manifest: ManifestBody
    layout: Layout

    def config(self) -> dict[str, Any]:
        """The configuration."""
        config: dict[str, Any] = json.loads(self.layout.blob(self.manifest["config"]["digest"]).read_bytes())
        return config

    def layers(self) -> list[str]:
        """The digests of the layers."""
        return [layer["digest"] for layer in self.manifest["layers"]]


def platform(folder: Path) -> Platform:
    """The image in a layout; its attestations are not part of it."""
    layout = Layout(folder)
    (image,) = [
        Platform(descriptor["digest"], body, layout)
        for descriptor, body in layout.manifests()
        if ATTESTATION not in descriptor.get("annotations", {}) and "config" in body
    ]
    return image


def differences(one: Platform, other: Platform, *, of_commit: bool = False) -> list[str]:
    """A line for each thing that differs; `of_commit` leaves out what says which commit the image is of."""
    if one.digest == other.digest:
        return []
    lines = [
        f"configuration{key}: {left} and {right}"
        for key, left, right in _values("", one.config(), other.config())
        # What a layer is called follows from what is in it.
        if not (of_commit and _general(key) in OF_COMMIT) and not key.startswith(".rootfs.diff_ids")
    ]
    left, right = one.layers(), other.layers()
    if len(left) != len(right):
        return [*lines, f"{len(left)} layers and {len(right)}"]
    for number, pair in enumerate(zip(left, right, strict=True), 1):
        if pair[0] != pair[1]:
            entries = [_entries(image.layout.blob(digest)) for image, digest in zip((one, other), pair, strict=True)]
            lines += [f"layer {number}: {line}" for line in _in_layer(*entries)]
    return lines


def _general(key: str) -> str:
    """A key with no index of a list."""
    return "[]".join(part.partition("]")[2] if index else part for index, part in enumerate(key.split("[")))


def _values(key: str, left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from _values(f"{key}.{name}", left.get(name), right.get(name))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from _values(f"{key}[{index}]", *pair)
    elif left != right:
        yield key, left, right


@dataclass(frozen=True, slots=True)
class Entry:
    """What a layer says of a file: each attribute by its name, and the hash of its bytes."""

    attributes: dict[str, Any]
    content: str


def _entries(blob: Path) -> dict[str, Entry]:
    """The entries of a layer by their path, in their order."""
    entries = {}
    with tarfile.open(blob) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            attributes = {
                "type": member.type.decode(), "mode": f"{member.mode:04o}", "owner": f"{member.uid}:{member.gid}",
                "date": member.mtime, "link": member.linkname,
                "extended": {key: value for key, value in member.pax_headers.items() if key not in _SHOWN_ELSEWHERE},
            }  # fmt: skip
            content = hashlib.file_digest(file, "sha256").hexdigest() if file else ""  # type: ignore[arg-type]  # a tar's file has readinto
            entries[member.name] = Entry(attributes, content)
    return entries


_SHOWN_ELSEWHERE = {"path", "linkpath", "mtime", "atime", "ctime", "size", "uid", "gid"}


def _in_layer(left: dict[str, Entry], right: dict[str, Entry]) -> list[str]:
    kinds: dict[str, list[str]] = {}

    def note(kind: str, text: str) -> None:
        kinds.setdefault(kind, []).append(text)

    for path in sorted(left.keys() ^ right.keys()):
        note("only", f"/{path} is only in the {'first' if path in left else 'second'}")
    for path in sorted(left.keys() & right.keys()):
        for name, value in left[path].attributes.items():
            if value != (second := right[path].attributes[name]):
                note(name, f"/{path}: {name} {value} and {second}")
        if left[path].content != right[path].content:
            note("bytes", f"/{path}: bytes")
    if not kinds:
        order = list(left) != list(right)
        return ["its files are in another order" if order else "equal files, and another archive or compression"]
    return [line for texts in kinds.values() for line in _first(texts)]


def _first(texts: list[str]) -> list[str]:
    more = len(texts) - _MOST
    return [*texts[:_MOST], f"… and {more} more like it"] if more > 0 else texts
