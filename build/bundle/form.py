"""What a bundle has beside its blobs. Everything follows from the releases in it: the same ones are the same bytes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from build.errors import BuildError, VerificationFailed
from build.typed import from_table

SCHEMA = 1
BUNDLE, INDEX, LAYOUT, SUMS, SIGNATURE, GUIDE = (
    "bundle.json", "index.json", "oci-layout", "SHA256SUMS", "SHA256SUMS.sig", "VERIFY.md",
)  # fmt: skip
BLOBS = "blobs/sha256/"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """A manifest to be put: its repository (below the namespace), its tag ("": by digest only), digest and type.

    A `floating` tag may name something else before.
    """

    repository: str
    tag: str
    digest: str
    media_type: str
    floating: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledRelease:
    """A release in a bundle: where it was made (ADDRESS/NAMESPACE), and the digest of its record's manifest."""

    line: str
    version: str
    registry: str
    repository: str
    record: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The table of a bundle: its releases, what is to be put and in which order, and what it leaves out.

    `since` are releases that whoever loads it has already, `left_out` their layers, by repository.
    """

    schema: int
    name: str
    releases: tuple[BundledRelease, ...]
    put: tuple[Put, ...]
    since: tuple[BundledRelease, ...] = ()
    left_out: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def encode(contents: Contents) -> bytes:
    """The table as JSON."""
    return (json.dumps(dataclasses.asdict(contents), indent=1, sort_keys=True) + "\n").encode()


def decode(content: bytes) -> Contents:
    """Parse a table. Raises VerificationFailed if it is none, or of another schema."""
    try:
        table = json.loads(content)
        if table.get("schema") != SCHEMA:
            message = f"{BUNDLE}: schema {table.get('schema')!r}, this toolkit reads {SCHEMA}"
            raise VerificationFailed(message, hint="use the version of the toolkit that wrote it")
        return from_table(Contents, table, "", source=BUNDLE)
    except (ValueError, AttributeError) as error:
        raise VerificationFailed(f"{BUNDLE} is not JSON: {error}") from None
    except VerificationFailed:
        raise
    except BuildError as error:
        raise VerificationFailed(str(error)) from None


def layout() -> bytes:
    """The file that makes a folder an OCI image layout (OCI image specification, image-layout.md)."""
    return b'{"imageLayoutVersion":"1.0.0"}'


def index(images: Iterable[tuple[str, str, Mapping[str, object]]]) -> bytes:
    """The index of the images alone (name, short name, descriptor): `docker load` loads whatever is in it."""
    manifests = [
        {
            **descriptor,
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": reference},
        }
        for name, reference, descriptor in images
    ]
    body = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": manifests}
    return json.dumps(body, separators=(",", ":")).encode()


def sums(hashes: Mapping[str, str]) -> bytes:
    """SHA256SUMS as sha256sum(1) reads it, of hashes by file."""
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)).encode()


def parse_sums(content: bytes) -> dict[str, str]:
    """The hashes by file. Raises VerificationFailed for a line of another form."""
    result = {}
    for line in content.decode("utf-8", "replace").splitlines():
        value, separator, name = line.partition("  ")
        if not separator or len(value) != 64:
            raise VerificationFailed(f"{SUMS}: not a line of sha256sum: {line[:80]!r}")
        result[name] = value
    return result


def guide(contents: Contents, *, signed: bool) -> bytes:
    """VERIFY.md: how to check a bundle with stock tools alone."""
    names = ", ".join(f"{release.line} {release.version}" for release in contents.releases)
    lines = [
        f"# {names}", "",
        "An OCI image layout. Unpack it into an empty folder, and check it before anything else:", "",
        "    sha256sum --check --strict --quiet SHA256SUMS", "",
    ]  # fmt: skip
    if signed:
        lines += [
            "SHA256SUMS is signed. Take the public key from the makers of the release, never from the bundle:", "",
            "    openssl dgst -sha256 -verify release.pub -signature SHA256SUMS.sig SHA256SUMS", "",
        ]  # fmt: skip
    lines += ["These are the images:", ""]
    lines += [f"    {put.repository}:{put.tag}  {put.digest}" for put in contents.put if put.tag[:1].isdigit()]
    lines += [
        "",
        "`docker load --input FILE` (containerd image store) and `skopeo copy --all oci:FOLDER:NAME-VERSION TO` take",
        "them, and keep the digests. `./inv bundle.load FILE` puts all of it into a registry: images, signatures,",
        "attestations, bills of materials, and the record last. There, cosign 2.5 verifies each image:", "",
        "    cosign verify --key release.pub --insecure-ignore-tlog REGISTRY/REPOSITORY@DIGEST", "",
    ]  # fmt: skip
    if contents.since:
        since = ", ".join(f"{release.line} {release.version}" for release in contents.since)
        lines += [f"It has only what {since} does not have: the registry that it is loaded into must have that.", ""]
    return "\n".join(lines).encode()
