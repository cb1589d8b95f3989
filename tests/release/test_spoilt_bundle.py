"""What loading a bundle refuses before a byte of it is put: whatever is changed in it, or missing."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from build.bundle import check
from build.config.load import load
from build.errors import VerificationFailed
from tests.release.bundled import Change, Origin, Site, blob_of, flip, pack, read_entries
from tests.support.world import SERVICES


def _largest(entries: dict[str, bytes]) -> str:
    return max((name for name in entries if name.startswith("blobs/")), key=lambda name: len(entries[name]))


def _summed(change: Change) -> Change:
    """The change, with sums that fit again, which nobody signed."""

    def apply(entries: dict[str, bytes]) -> None:
        change(entries)
        hashes = {
            name: hashlib.sha256(content).hexdigest() for name, content in entries.items() if name[:6] != "SHA256"
        }
        entries["SHA256SUMS"] = "".join(f"{value}  {name}\n" for name, value in sorted(hashes.items())).encode()

    return apply


def _unsigned(change: Change) -> Change:
    """The same, with the signature of the sums taken away: what is signed inside must tell."""

    def apply(entries: dict[str, bytes]) -> None:
        _summed(change)(entries)
        entries.pop("SHA256SUMS.sig", None)

    return apply


def _without(kind: str) -> Change:
    """The table without what has such a tag."""

    def change(entries: dict[str, bytes]) -> None:
        table = json.loads(entries["bundle.json"])
        table["put"] = [put for put in table["put"] if not put["tag"].endswith(kind)]
        entries["bundle.json"] = json.dumps(table).encode()

    return change


def _record_first(entries: dict[str, bytes]) -> None:
    table = json.loads(entries["bundle.json"])
    table["put"] = [table["put"][-1], *table["put"][:-1]]
    entries["bundle.json"] = json.dumps(table).encode()


def _other_image(entries: dict[str, bytes]) -> None:
    """The tag of one image on another."""
    table = json.loads(entries["bundle.json"])
    digests = {put["repository"]: put["digest"] for put in table["put"] if put["tag"] == "0.1.0"}
    for put in table["put"]:
        if (put["repository"], put["tag"]) == ("one", "0.1.0"):
            put["digest"] = digests["two"]
    entries["bundle.json"] = json.dumps(table).encode()


_SPOILT: dict[str, tuple[Change, str]] = {
    "a layer was altered": (flip(_largest), "its bytes are not those of SHA256SUMS"),
    "a layer of an image was altered": (flip(blob_of("one", "0.1.0", "layers")), "(layer of one): its bytes"),
    "a config was altered": (flip(blob_of("one", "0.1.0", "config")), "(config of one): its bytes"),
    "the record was altered": (flip(blob_of("release", "0.1.0", "layers")), "(record of 0.1.0): its bytes"),
    "a bill of materials was altered": (flip(blob_of("one", ".sbom", "layers")), "(bill of materials of one): its bytes"),
    "attestations were altered": (flip(blob_of("two", ".att", "layers")), "(attestations of two): its bytes"),
    "a signature was altered": (flip(blob_of("two", ".sig", "layers")), "(signature of two): its bytes"),
    "the record and its sum were altered": (
        _unsigned(flip(blob_of("release", "0.1.0", "layers"))), "(record of 0.1.0): its name is not its hash",
    ),
    "a layer and its sum were altered": (_summed(flip(_largest)), "none of the keys signed SHA256SUMS"),
    "the table was altered": (flip(lambda _: "bundle.json"), "bundle.json: its bytes are not those"),
    "a blob is missing": (lambda entries: entries.pop(_largest(entries)), "missing"),
    "a blob and its sum are missing": (_unsigned(lambda entries: entries.pop(_largest(entries))), "is missing"),
    "a file was added": (lambda entries: entries.update({"more": b""}), "more: not in SHA256SUMS"),
    "the signature was altered": (flip(lambda _: "SHA256SUMS.sig"), "none of the keys signed SHA256SUMS"),
    "no sums": (lambda entries: entries.pop("SHA256SUMS"), "lacks SHA256SUMS"),
    "no table": (lambda entries: entries.pop("bundle.json"), "lacks bundle.json"),
    "the signatures were left out": (_unsigned(_without(".sig")), "signature of"),
    "the attestations were left out": (_unsigned(_without(".att")), "attestations: missing"),
    "the record comes first": (_unsigned(_record_first), "puts the record of 0.1.0 before its images"),
    "another image under the name": (_unsigned(_other_image), "one: tag 0.1.0: wrong"),
    "a name that leads out": (lambda entries: entries.update({"../out": b""}), "not a plain file with a plain name"),
    "a newer table": (
        _unsigned(lambda entries: entries.update({"bundle.json": b'{"schema": 2}'})), "schema 2, this toolkit reads 1",
    ),
}  # fmt: skip


def _spoil(origin: Origin, folder: Path, name: str) -> str:
    entries = read_entries(origin.bundle)
    _SPOILT[name][0](entries)
    return str(pack(folder / "spoilt.tar", entries))


@pytest.mark.parametrize("name", _SPOILT)
def test_whatever_is_changed_in_a_bundle_is_named(origin: Origin, tmp_path: Path, name: str) -> None:
    """A bundle is refused with a name for what is wrong with it."""
    manifest = load(origin.world.clone.project.root, origin.keys.verifying)
    file = _spoil(origin, tmp_path, name)

    with pytest.raises(VerificationFailed, match=re.escape(_SPOILT[name][1])):
        check.read(manifest, file)


@pytest.mark.parametrize("name", ["a layer was altered", "another image under the name", "the record comes first"])
def test_a_spoilt_bundle_puts_nothing(origin: Origin, site: Site, tmp_path: Path, name: str) -> None:
    """Loading it ends with an exit code of its own before a byte is put."""
    ran = site.inv("bundle.load", _spoil(origin, tmp_path, name))

    assert ran.code == 21, ran.text
    assert _SPOILT[name][1] in ran.stderr
    assert [site.hub.tags(f"{site.namespace}/{name}") for name in (*SERVICES, "release")] == [[], [], []]


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_bundle_that_broke_off_is_refused(origin: Origin, site: Site, tmp_path: Path, size: int) -> None:
    """A file that is cut off, empty, or no tar at all is refused in words."""
    (tmp_path / "cut.tar").write_bytes(origin.bundle.read_bytes()[:size])

    ran = site.inv("bundle.verify", str(tmp_path / "cut.tar"))

    assert ran.code == 21, ran.text
    assert "cut.tar" in ran.stderr
