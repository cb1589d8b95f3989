"""The vulnerability database of this machine as an artifact, in the form in which Trivy fetches it.

aquasecurity/trivy-db: one layer, a tar.gz with trivy.db and metadata.json at its root. The same database gives the same
bytes: what Trivy notes of its own download is left out.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

from build.bundle.archive import hash_of
from build.config.manifest import Manifest
from build.errors import ScanBroken
from build.gates.scan import database
from build.gates.scan.database import Absent
from build.gates.scan.trivy import Scanner
from build.registry.body import Part
from build.registry.oci import EMPTY, IMAGE_MANIFEST, RawManifest, digest_of

_LAYER = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
_CONFIG = "application/vnd.aquasec.trivy.config.v1+json"
_NEVER = "0001-01-01T00:00:00Z"


def pack(manifest: Manifest, folder: Path) -> tuple[RawManifest, Part]:
    """Pack the database, fetched if need be, into a file in `folder`; its manifest, and the layer.

    Raises ScanBroken if there is none, or it is stale or broken.
    """
    provided = database.provide(manifest)
    if isinstance(provided, Absent):
        raise _missing(provided.reason)
    cache = Scanner.of(manifest).cache / "db"
    path = folder / "db.tar.gz"
    metadata = json.loads((cache / "metadata.json").read_text(encoding="utf-8")) | {"DownloadedAt": _NEVER}
    content = json.dumps(metadata, sort_keys=True).encode()
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
        (cache / "trivy.db").open("rb") as source,
    ):
        _add(archive, "metadata.json", len(content), io.BytesIO(content))
        _add(archive, "trivy.db", (cache / "trivy.db").stat().st_size, source)
    layer = Part(path, 0, path.stat().st_size)
    return _manifest(layer), layer


def require(manifest: Manifest) -> None:
    """Raise ScanBroken if there would be no database to pack; nothing is fetched."""
    if reason := database.unobtainable(manifest):
        raise _missing(reason)


def _missing(reason: str) -> ScanBroken:
    return ScanBroken(f"--with-db: there is no vulnerability database: {reason}", hint=database.MIRROR)


def _add(archive: tarfile.TarFile, name: str, size: int, content: io.BufferedIOBase) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    archive.addfile(info, content)


def _manifest(layer: Part) -> RawManifest:
    body = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": [
            {
                "mediaType": _LAYER,
                "digest": f"sha256:{hash_of(layer)}",
                "size": layer.size,
                "annotations": {"org.opencontainers.image.title": "db.tar.gz"},
            }
        ],
    }
    content = json.dumps(body, separators=(",", ":")).encode()
    return RawManifest(content=content, media_type=IMAGE_MANIFEST, digest=digest_of(content))
