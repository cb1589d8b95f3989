"""Which releases are verified, and with which keys: by name for a person, by its record before it is run."""

from __future__ import annotations

from collections.abc import Sequence

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import ReleaseRefused, VerificationFailed
from build.git.versions import Line, lines
from build.registry import download, policy
from build.registry.client import RegistryClient
from build.registry.content import Relocated
from build.registry.credentials import login
from build.release import carried, checks, verify
from build.release.checks import Verification
from build.release.keyless import Witness
from build.release.names import release_repository
from build.release.proof import UNSIGNED
from build.release.record import Record
from build.release.stored import fetch, yank_reason
from build.signing import keys
from build.signing.keyless import configured
from build.signing.keys import PublicKey


def read(manifest: Manifest, version: str, services: Sequence[str] = (), *, key: str = "") -> list[Verification]:
    """Verify a release, on each line that has it and one of the services.

    `version` is one, or a float such as 1.4; `key` is a file with the only key that counts. Raises VerificationFailed
    if there is no key to verify with, ReleaseRefused if there is no such release, RegistryError if the registry does
    not answer.
    """
    trusted = keys.trusted(manifest, key)
    if not trusted and not manifest.signing.identity:
        hint = "--key release.pub, or [signing] public_key in versions.toml"
        raise VerificationFailed("there is no public key to verify with", hint=hint)
    results = []
    with RegistryClient(manifest) as registry:
        for line in lines(manifest):
            repository = release_repository(manifest, line.name)
            if set(line.services) & set(chosen(manifest, services)) and (
                record := _record(manifest, registry, line, version)
            ):
                if (reason := yank_reason(registry, repository, record.version)) is not None:
                    console.warn(f"{line.name} {record.version} was withdrawn: {reason}")
                results.append(_examine(manifest, registry, line, record, trusted, whole=True))
    if not results:
        raise ReleaseRefused(f"there is no release {version}", hint="./inv releases")
    return results


def _record(manifest: Manifest, registry: RegistryClient, line: Line, version: str) -> Record | None:
    """The record of a release in the registry, else in its git tag; None for a line that has neither."""
    name = version.removeprefix(line.prefix)
    if stored := fetch(registry, release_repository(manifest, line.name), name):
        return stored
    tagged = carried.fetched(manifest, line, f"{line.prefix}{name}")
    return tagged.record if tagged else None


def require(manifest: Manifest, registry: RegistryClient, line: Line, record: Record) -> None:
    """Verify a release before it is run, if [signing] says what to trust; layers are verified by whoever fetches them.

    Raises VerificationFailed if something is missing or wrong, and where [signing] requires a signature and there is no
    key to verify one with.
    """
    if (trusted := keys.trusted(manifest)) or manifest.signing.identity:
        checks.require([_examine(manifest, registry, line, record, trusted, whole=False)])
    elif manifest.signing.required:
        message = "[signing] required is true, and there is no public key to verify a release with"
        raise VerificationFailed(message, hint="[signing] public_key in versions.toml")


def _examine(
    manifest: Manifest,
    registry: RegistryClient,
    line: Line,
    record: Record,
    trusted: Sequence[PublicKey],
    *,
    whole: bool,
) -> Verification:
    tagged = carried.fetched(manifest, line, record.tag)
    here = Relocated(registry, record.registry.partition("/")[2], manifest.registry.namespace)

    def altered(repository: str, digest: str) -> str:
        return download.is_intact(registry, here.place(repository), digest)

    cosign = None if trusted else configured(manifest)
    if cosign:
        login(manifest)
    learnt = policy.cached(manifest)  # a probe would write, and whoever verifies may not be allowed to
    return verify.examine(
        here,
        record,
        tagged=tagged.record if tagged else None,
        proof=tagged.proof if tagged else UNSIGNED,
        keys=trusted,
        tags_allowed=learnt.fallback_tags if learnt else True,
        altered=altered if whole else None,
        witness=Witness(cosign, manifest.registry.address, here.place) if cosign else None,
    )
