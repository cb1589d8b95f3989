"""Writes releases from their registry to a bundle."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.bundle import archive, collect, database, form
from build.bundle.collect import Collected
from build.bundle.content import name_of
from build.bundle.form import Contents
from build.config.manifest import Manifest
from build.deploy import command as deploy
from build.errors import ReleaseRefused, UsageError
from build.git.versions import lines
from build.registry.body import Part
from build.registry.client import RegistryClient
from build.registry.content import Relocated
from build.registry.download import download
from build.release import carried
from build.release.names import release_repository
from build.release.proof import UNSIGNED, Proof
from build.release.record import Record
from build.release.stored import fetch
from build.signing import signer as signing
from build.signing.signer import Signer


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenBundle:
    """A bundle that was written: its file, its size in bytes, its releases, and whether its hashes are signed."""

    file: str
    size: int
    releases: tuple[str, ...]
    images: dict[str, str]
    signed: bool


def write(
    manifest: Manifest, versions: Sequence[str], *, since: Sequence[str] = (), out: str = "", with_db: bool = False,
    dry_run: bool = False,
) -> WrittenBundle:  # fmt: skip
    """Write releases to a bundle, NAME-VERSION.tar unless `out` says otherwise; without the layers of those in `since`.

    `with_db`: with the vulnerability database of this machine. `dry_run`: the file is not written, the database not
    fetched, and its size not counted. Raises UsageError without a version or for a folder that
    does not exist, ReleaseRefused for a release that does not, ImageGone for what the registry has lost, SecretError
    for a key that can't be read, MissingTool and ToolFailed as cosign does, ScanBroken without a database.
    """
    if not versions:
        raise UsageError("which release?", hint="./inv bundle.write 1.4.0")
    if out and not Path(out).absolute().parent.is_dir():
        raise UsageError(f"--out: no such folder: {Path(out).parent}", hint="create it, or name another file")
    signer = signing.signer(manifest)
    manifest.workspace.root.mkdir(parents=True, exist_ok=True)
    with (
        RegistryClient(manifest) as registry,
        tempfile.TemporaryDirectory(prefix="bundle-", dir=manifest.workspace.root) as folder,
    ):
        records = [pair for version in versions for pair in _records(manifest, registry, version)]
        earlier = [pair for version in since for pair in _records(manifest, registry, version)]
        collected, before = Collected(), Collected()
        if with_db and dry_run:
            database.require(manifest)
        elif with_db:
            collect.add_database(collected, *database.pack(manifest, Path(folder)))
        for record, proof in records:
            collect.add(collected, _place(manifest, registry, record), record, proof)
        for record, proof in earlier:
            collect.add(before, _place(manifest, registry, record), record, proof)
        collect.require_all(collected, registry)
        contents = _contents(manifest, collected, before, [one for one, _ in records], [one for one, _ in earlier])
        rendered = _rendered(manifest, [record.version for record, _ in records])
        path = Path(out or f"{manifest.project.name}-{'+'.join(dict.fromkeys(r.version for r, _ in records))}.tar")
        files = _files(registry, contents, collected, rendered, signer)
        size = archive.size(files) if dry_run else archive.write(path, files)
    images = {put.repository: put.digest for put in contents.put if put.tag in {r.version for r, _ in records}}
    return WrittenBundle(
        file=str(path),
        size=size,
        releases=tuple(f"{record.line} {record.version}" for record, _ in records),
        images=images,
        signed=signer is not None,
    )


def _records(manifest: Manifest, registry: RegistryClient, version: str) -> Iterator[tuple[Record, Proof]]:
    """The records of a release, of each line that has it, with their proofs where the git tag can be had."""
    none = True
    for line in lines(manifest):
        record = fetch(registry, release_repository(manifest, line.name), version.removeprefix(line.prefix))
        if record:
            none = False
            tagged = carried.fetched(manifest, line, record.tag)
            yield record, tagged.proof if tagged and tagged.record == record else UNSIGNED
    if none:
        raise ReleaseRefused(f"there is no complete release {version}", hint="./inv releases")


def _place(manifest: Manifest, registry: RegistryClient, record: Record) -> Relocated:
    return Relocated(registry, record.registry.partition("/")[2], manifest.registry.namespace)


def _contents(
    manifest: Manifest, collected: Collected, before: Collected, records: Sequence[Record], earlier: Sequence[Record]
) -> Contents:
    left_out = {name: layers & before.layers.get(name, set()) for name, layers in collected.layers.items()}
    # A layer that one repository has already is needed all the same where another one lacks it.
    needed = {layer for name, layers in collected.layers.items() for layer in layers - left_out[name]}
    return Contents(
        schema=form.SCHEMA,
        name=manifest.project.name,
        releases=tuple(map(collect.release, records)),
        put=tuple(collected.put),
        since=tuple(map(collect.release, earlier)),
        left_out={name: tuple(sorted(layers - needed)) for name, layers in left_out.items() if layers - needed},
    )


def _rendered(manifest: Manifest, versions: Sequence[str]) -> dict[str, bytes]:
    """What a deploy of each release applies to each target, as files."""
    files = {}
    for name, settings in manifest.deploy.targets.items():
        for version in versions:
            for file, text in deploy.files(manifest, version, target=name).items():
                files[f"{settings.kind}/{name}/{version}/{file}"] = text.encode()
    return files


def _files(
    registry: RegistryClient,
    contents: Contents,
    collected: Collected,
    rendered: Mapping[str, bytes],
    signer: Signer | None,
) -> dict[str, bytes | archive.Source]:
    absent = {digest for digests in contents.left_out.values() for digest in digests}
    small = {**collected.manifests, **collected.small}
    files: dict[str, bytes | archive.Source] = {
        name_of(digest): content for digest, content in small.items() if digest not in absent
    }
    for digest, size in collected.blobs.items():
        if digest not in absent and digest not in small:
            files[name_of(digest)] = (size, _copy(registry, collected.places[digest], digest))
    files |= {name_of(digest): (part.size, _pass(part)) for digest, part in collected.files.items()}
    hashes = {name: name.rpartition("/")[2] for name in files}
    texts = {
        form.LAYOUT: form.layout(),
        form.INDEX: form.index(collected.images),
        form.BUNDLE: form.encode(contents),
        form.GUIDE: form.guide(contents, signed=signer is not None),
        **rendered,
    }
    hashes |= {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    sums = form.sums(hashes)
    files |= {**texts, form.SUMS: sums}
    if signer:
        files[form.SIGNATURE] = signer.sign(sums)
    else:
        console.note("the bundle's hashes are not signed: there is no [signing] key; its releases may be")
    return files


def _pass(part: Part) -> Callable[[Callable[[bytes], object]], object]:
    return lambda write: [write(piece) for piece in part.pieces()]


def _copy(registry: RegistryClient, repository: str, digest: str) -> Callable[[Callable[[bytes], object]], object]:
    return lambda write: download(registry, repository, digest, write)
