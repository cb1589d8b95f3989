"""Checks a bundle: its form, every hash and who signed them, and then its releases as `./inv verify` does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.bundle import archive, form
from build.bundle.blob_names import blob_names
from build.bundle.content import BundleContent, name_of
from build.bundle.form import BundledRelease, Contents
from build.config.manifest import Manifest
from build.errors import UsageError, VerificationFailed
from build.registry import tree
from build.registry.body import Part
from build.registry.oci import document_of
from build.release import checks, verify
from build.release.checks import Verification
from build.release.proof import UNSIGNED
from build.release.record import RECORD_TYPE, NoRecord, Record, decode
from build.signing import keys
from build.signing.keys import PublicKey

_AGAIN = "copy it again, or write it again: ./inv bundle.write VERSION"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is whole: its table, its files, and the records of its releases."""

    contents: Contents
    parts: Mapping[str, Part]
    records: tuple[Record, ...]
    verifications: tuple[Verification, ...]


def read(manifest: Manifest, file: str, *, key: str = "") -> Bundle:
    """Read a bundle and check all of it; where there are public keys, its signatures and those of its releases too.

    `key` is a file with the only key that counts. Raises UsageError for a file that is not there, VerificationFailed
    naming what is missing or wrong.
    """
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"no such file: {file}", hint="name what ./inv bundle.write has written")
    trusted = keys.trusted(manifest, key)
    parts = archive.read(path)
    _check_sums(path, parts, trusted)
    if not trusted:
        if manifest.signing.required:
            message = "[signing] required is true, and there is no public key to verify a bundle with"
            raise VerificationFailed(message, hint="[signing] public_key in versions.toml")
        console.warn(f"{path.name}: who made it was NOT verified: no --key and no [signing] public_key")
    contents = form.decode(parts[form.BUNDLE].read())
    if problems := list(_problems(contents, parts)):
        raise VerificationFailed("\n".join(f"{path.name}: {problem}" for problem in problems), hint=_AGAIN)
    records = tuple(_record(contents, parts, release) for release in contents.releases)
    results = tuple(_verified(contents, parts, record, trusted) for record in records) if trusted else ()
    checks.require(results)
    return Bundle(contents, parts, records, results)


def _check_sums(path: Path, parts: Mapping[str, Part], trusted: Sequence[PublicKey]) -> None:
    if missing := [name for name in (form.SUMS, form.BUNDLE, form.INDEX, form.LAYOUT) if name not in parts]:
        raise VerificationFailed(f"{path.name} lacks {', '.join(missing)}", hint="this is no bundle")
    content = parts[form.SUMS].read()
    if trusted:
        signature = parts[form.SIGNATURE].read() if form.SIGNATURE in parts else b""
        if not signature:
            # The releases in it may be signed; its table and its rendered files are then only as good as its origin.
            console.warn(f"{path.name}: its hashes are not signed; the releases in it are verified by themselves")
        elif not any(key.verifies(content, signature) for key in trusted):
            message = f"{path.name}: {form.SIGNATURE}: none of the keys signed {form.SUMS}, or it was changed"
            raise VerificationFailed(message, hint=_AGAIN)
    expected = form.parse_sums(content)
    actual = set(parts) - {form.SUMS, form.SIGNATURE}
    problems = [(name, "missing") for name in sorted(expected.keys() - actual)]
    problems += [(name, f"not in {form.SUMS}") for name in sorted(actual - expected.keys())]
    for name in sorted(actual & expected.keys()):
        value = archive.hash_of(parts[name])
        if value != expected[name]:
            problems.append((name, f"its bytes are not those of {form.SUMS}"))
        elif name.startswith(form.BLOBS) and name.rpartition("/")[2] != value:
            problems.append((name, "its name is not its hash"))
    if problems:
        known = blob_names(parts)
        named = [f"{name} ({known[name]})" if name in known else name for name, _ in problems]
        text = "\n".join(f"{path.name}: {name}: {problem}" for name, (_, problem) in zip(named, problems, strict=True))
        raise VerificationFailed(text, hint=_AGAIN)


def _problems(contents: Contents, parts: Mapping[str, Part]) -> Iterator[str]:
    """What the table names and the bundle neither has nor leaves out on purpose."""
    absent = {digest for digests in contents.left_out.values() for digest in digests}
    for put in contents.put:
        if put.digest in absent:
            continue
        if name_of(put.digest) not in parts:
            yield f"{put.repository}@{put.digest} is named by {form.BUNDLE} and missing"
            continue
        body = json.loads(parts[name_of(put.digest)].read())
        for part in [*tree.parts(body), *body.get("manifests", [])]:
            if part["digest"] not in absent and name_of(part["digest"]) not in parts:
                yield f"{put.repository}@{part['digest']} is missing"
    order = {(put.repository, put.tag): position for position, put in enumerate(contents.put)}
    for release in contents.releases:
        place = order.get((release.repository, release.version))
        if place is None or contents.put[place].digest != release.record:
            yield f"{form.BUNDLE} names another record of {release.version} than it puts"
        elif any(put.tag == release.version for put in contents.put[place + 1 :]):
            yield f"{form.BUNDLE} puts the record of {release.version} before its images"


def _record(contents: Contents, parts: Mapping[str, Part], release: BundledRelease) -> Record:
    content = BundleContent(contents, parts, release.registry.partition("/")[2])
    manifest = content.blob("", release.record)
    document = content.blob("", document_of(manifest, RECORD_TYPE)) if manifest else None
    try:
        if document is None:
            raise NoRecord("it is not in the bundle")
        record = decode(document)
    except NoRecord as error:
        raise VerificationFailed(f"the record of {release.line} {release.version}: {error}", hint=_AGAIN) from None
    if (record.version, record.line, record.registry) != (release.version, release.line, release.registry):
        message = f"{form.BUNDLE} says {release.line} {release.version}, the record {record.line} {record.version}"
        raise VerificationFailed(message, hint=_AGAIN)
    return record


def _verified(
    contents: Contents, parts: Mapping[str, Part], record: Record, trusted: Sequence[PublicKey]
) -> Verification:
    content = BundleContent(contents, parts, record.registry.partition("/")[2])
    return verify.examine(content, record, tagged=None, proof=UNSIGNED, keys=trusted)
