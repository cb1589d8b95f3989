"""Creates Trivy vulnerability databases: a small writer of bbolt files, advisories, and the artifact in a registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Union

import httpx

# A bucket maps keys to values or to nested buckets.
Bucket = Mapping[str, Union[bytes, "Bucket"]]

_PAGE = 4096
_LEAF, _META, _FREELIST = 2, 4, 16
_MAGIC, _FORMAT = 0xED0CDAED, 2
_LAYER = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
_CONFIG = "application/vnd.aquasec.trivy.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def bolt(root: Bucket) -> bytes:
    """Return a bbolt file with the root bucket `root`: two meta pages, an empty freelist, a leaf page for each bucket."""
    pages = [b"", b"", struct.pack("<QHHI", 2, _FREELIST, 0, 0).ljust(_PAGE, b"\0")]
    top = _leaf(root, pages)
    pages[0], pages[1] = (_meta(number, top, len(pages)) for number in (0, 1))
    return b"".join(pages)


def _meta(number: int, root: int, count: int) -> bytes:
    fields = struct.pack("<IIIIQQQQQ", _MAGIC, _FORMAT, _PAGE, 0, root, 0, 2, count, number)
    checksum = 0xCBF29CE484222325
    for byte in fields:  # FNV-1a, 64 bits
        checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
    header = struct.pack("<QHHI", number, _META, 0, 0)
    return (header + fields + struct.pack("<Q", checksum)).ljust(_PAGE, b"\0")


def _leaf(bucket: Bucket, pages: list[bytes]) -> int:
    """Append the page of a bucket after those of its nested buckets; return its number."""
    elements, data = b"", b""
    for index, (name, value) in enumerate(sorted(bucket.items(), key=lambda item: item[0].encode())):
        key = name.encode()
        is_bucket = not isinstance(value, bytes)
        content = struct.pack("<QQ", _leaf(value, pages), 0) if not isinstance(value, bytes) else value
        position = 16 * (len(bucket) - index) + len(data)
        elements += struct.pack("<IIII", is_bucket, position, len(key), len(content))
        data += key + content
    page = struct.pack("<QHHI", len(pages), _LEAF, len(bucket), 0) + elements + data
    if len(page) > _PAGE:
        raise ValueError("a bucket over one page needs branches, which these small databases do without")
    pages.append(page.ljust(_PAGE, b"\0"))
    return len(pages) - 1


def record(data: object) -> bytes:
    """A value as Trivy stores it: JSON."""
    return json.dumps(data).encode()


def advisories() -> dict[str, Bucket]:
    """A database of real advisories: two of Jinja2, and one each of lodash, Newtonsoft.Json and Debian's OpenSSL."""
    return {
        "data-source": {
            "debian 13": _source("debian"),
            "npm::GHSA": _source("ghsa"),
            "nuget::GHSA": _source("ghsa"),
            "pip::GHSA": _source("ghsa"),
        },
        "debian 13": {
            "openssl": {"CVE-2025-15467": record({"FixedVersion": "3.5.4-1~deb13u2", "VendorIDs": ["DSA-6113-1"]})},
        },
        "npm::GHSA": {"lodash": {"CVE-2018-3721": _fixed_in("4.17.5")}},
        "nuget::GHSA": {"newtonsoft.json": {"CVE-2024-21907": _fixed_in("13.0.1")}},
        "pip::GHSA": {"jinja2": {"CVE-2019-10906": _fixed_in("2.10.1"), "CVE-2020-28493": _fixed_in("2.11.3")}},
        "vulnerability": {
            "CVE-2018-3721": _detail("Prototype pollution in lodash", "MEDIUM", 2),
            "CVE-2019-10906": _detail("Jinja2 sandbox escape", "HIGH", 3),
            "CVE-2020-28493": _detail("Regular expression denial of service in Jinja2", "MEDIUM", 2),
            "CVE-2024-21907": _detail("Stack overflow in Newtonsoft.Json", "HIGH", 3),
            "CVE-2025-15467": _detail("Stack buffer overflow in OpenSSL", "CRITICAL", 4),
        },
    }


def _source(name: str) -> bytes:
    return record({"ID": name, "Name": name, "URL": "https://example.invalid"})


def _fixed_in(version: str) -> bytes:
    return record({"VulnerableVersions": [f"<{version}"], "PatchedVersions": [version]})


def _detail(title: str, severity: str, rank: int) -> bytes:
    return record({"Title": title, "Severity": severity, "VendorSeverity": {"ghsa": rank, "nvd": rank}})


def artifact(database: bytes, updated: datetime) -> bytes:
    """The layer of a database artifact: a compressed tar of trivy.db and metadata.json."""
    metadata = {
        "Version": 2,
        "NextUpdate": (updated + timedelta(days=1)).isoformat().replace("+00:00", "Z"),
        "UpdatedAt": updated.isoformat().replace("+00:00", "Z"),
        "DownloadedAt": "0001-01-01T00:00:00Z",
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in (("trivy.db", database), ("metadata.json", record(metadata))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)


def push(registry: str, repository: str, layer: bytes) -> str:
    """Push a database artifact under the tag 2 to a plain-HTTP registry; return its reference by digest."""
    base = f"http://{registry}/v2/{repository}"
    config = b"{}"
    with httpx.Client(timeout=10) as client:
        for blob in (config, layer):
            started = client.post(f"{base}/blobs/uploads/").raise_for_status()
            where = httpx.URL(started.headers["Location"]).copy_merge_params({"digest": _digest(blob)})
            client.put(where, content=blob).raise_for_status()
        manifest = record(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
                "layers": [
                    {
                        "mediaType": _LAYER,
                        "digest": _digest(layer),
                        "size": len(layer),
                        "annotations": {"org.opencontainers.image.title": "db.tar.gz"},
                    }
                ],
            }
        )
        client.put(f"{base}/manifests/2", content=manifest, headers={"Content-Type": _MANIFEST}).raise_for_status()
    return f"{registry}/{repository}@{_digest(manifest)}"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
