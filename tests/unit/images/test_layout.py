"""OCI image layouts as buildx exports them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from build.errors import ToolFailed
from build.images.layout import Layout

ATTESTED = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}


class _Folder:
    """A layout that is being written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)

    def add(self, content: bytes) -> dict[str, Any]:
        name = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / name).write_bytes(content)
        return {"mediaType": "x", "digest": f"sha256:{name}", "size": len(content)}

    def manifest(self, config: bytes, *layers: bytes) -> dict[str, Any]:
        body = {"config": self.add(config), "layers": [self.add(layer) for layer in layers]}
        return self.add(json.dumps(body).encode())

    def index(self, *manifests: dict[str, Any]) -> dict[str, Any]:
        return self.add(json.dumps({"manifests": list(manifests)}).encode())

    def finish(self, *tops: dict[str, Any]) -> Layout:
        (self.folder / "index.json").write_text(json.dumps({"manifests": list(tops)}))
        return Layout(self.folder)


@pytest.fixture
def folder(tmp_path: Path) -> _Folder:
    """An empty layout."""
    return _Folder(tmp_path / "web")


def test_children_come_before_what_names_them(folder: _Folder) -> None:
    """A registry refuses an index whose manifests it does not have yet."""
    image, attestation = folder.manifest(b"{}", b"layer"), folder.manifest(b"[]", b"statement") | ATTESTED
    index = folder.index(image, attestation)

    manifests = folder.finish(index).manifests()

    assert [descriptor["digest"] for descriptor, _ in manifests] == [
        one["digest"] for one in (image, attestation, index)
    ]


def test_the_size_is_that_of_the_compressed_layers(folder: _Folder) -> None:
    """Each blob counts once, and attestations, which no pull fetches, do not count."""
    image = folder.manifest(b"config", b"layer", b"layer", b"other")
    attestation = folder.manifest(b"[]", b"a long statement") | ATTESTED

    assert folder.finish(folder.index(image, attestation)).size() == len(b"config" + b"layer" + b"other")


def test_an_image_without_an_index_has_a_size(folder: _Folder) -> None:
    """Without provenance buildx exports a manifest alone."""
    assert folder.finish(folder.manifest(b"config", b"layer")).size() == len(b"config" + b"layer")


def test_a_missing_blob_is_named(folder: _Folder) -> None:
    """An export that lost something is refused before anything is sent."""
    image = folder.manifest(b"{}")
    layout = folder.finish(image)
    layout.blob(image["digest"]).unlink()

    with pytest.raises(ToolFailed, match=f"web: the exported image lacks {image['digest']}"):
        layout.manifests()


def test_a_layout_holds_one_image(folder: _Folder) -> None:
    """Which of two is meant nobody knows."""
    layout = folder.finish(folder.manifest(b"1"), folder.manifest(b"2"))

    with pytest.raises(ToolFailed, match="web: buildx exported 2 images, expected 1"):
        layout.top()
