"""Floating tags, X.Y and X: computed from the set of complete releases, so no order of events moves them backwards.

The rules at the top are pure; below them, `move_floats` applies them to a registry.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from semver import Version

from build import console
from build.errors import RegistryError
from build.git.versions import Line
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.oci import RawManifest
from build.release.published import Known, Published
from build.release.record import Record, of_record
from build.release.stored import ImageGone, digest_unless_unreadable, load

_ROUNDS, _BETWEEN_ROUNDS = 6, 0.3
_REFUSALS = {400, 403, 405, 409, 412, 422}  # HTTP statuses of a registry that does not take such a tag from us


def names(version: Version) -> tuple[str, ...]:
    """The floats of a stable version, 1.4 and 1 for 1.4.2; none for a pre-release."""
    return () if version.prerelease else (f"{version.major}.{version.minor}", str(version.major))


def winners(releases: Iterable[Version]) -> dict[str, Version]:
    """Map each float to its release, the highest stable version in its range by SemVer 2.0 precedence (section 11).

    `releases` are the complete ones that are not yanked. Pre-releases neither get a float nor hold one back.
    """
    highest: dict[str, Version] = {}
    for version in releases:
        for name in names(version):
            highest[name] = max(highest.get(name, version), version)
    return highest


def won_by(version: Version, releases: Iterable[Version]) -> tuple[str, ...]:
    """The floats that name `version` once it is released too."""
    highest = winners([*releases, version])
    return tuple(name for name in names(version) if highest[name] == version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """A float and the version that it was pointed at."""

    name: str
    version: Version


def move_floats(
    published: Published,
    line: Line,
    *,
    release: Record | None = None,
    known: Known | None = None,
    audit: bool = False,
    suspects: Collection[str] = (),
    staged: Mapping[str, RawManifest] | None = None,
) -> list[Move]:
    """Point every float of a line, or those of the `release` just recorded, at its release; those that were written.

    The release repository has the same floats, and they are put last. So a float that is current there is assumed
    current for the services, unless a racer was killed between the two: `audit` checks every float, `suspects` names
    the ones to check. `known` is the line as it was just read. Manifests in `staged` (by service) are not fetched
    again.

    Two releases may do this concurrently, and the one that computed first may put last. So after every put the floats
    are computed again from the registry: whoever puts last sees the other's record and corrects the tag.

    A float whose release lost an image stays where it is, with a warning: moving it back is `yank`'s decision.
    Raises RegistryError if a float can't be moved, keeps being moved away, or `release` is not seen in the registry.
    """
    registry, repository = published.registry, published.repository(line)
    only = names(release.parsed) if release else ()
    done: dict[str, Version] = {}
    written: dict[str, Version] = {}
    pause = 0.0
    for _ in range(_ROUNDS):
        time.sleep(pause)
        pause = 0.0
        known = known or published.known(line)
        wanted = winners(known.eligible)
        todo = [
            Move(name=name, version=version)
            for name, version in wanted.items()
            if (not only or name in only)
            and done.get(name) != version
            and (audit or name in only or name in suspects or name in done
                 or not _is_current(registry, repository, name, version))
        ]  # fmt: skip
        if release and release.parsed not in known.complete | known.yanked:
            pause = _BETWEEN_ROUNDS  # what the registry lists is older than what was just read back from it
            known = None
            continue
        if not todo:
            return [Move(name=name, version=version) for name, version in written.items()]
        put = False
        for version in sorted({move.version for move in todo}):
            moving = [move.name for move in todo if move.version == version]
            try:
                results = _point(
                    published, line, _record_of(published, line, version), moving, staged or {},
                    remembered=published.stands_still(line, known),
                )  # fmt: skip
            except ImageGone as error:
                if release and release.parsed == version:
                    raise
                console.warn(f"{', '.join(moving)} can't be pointed at {version}: {error}")
                done |= dict.fromkeys(moving, version)
                continue
            written |= {result.name: version for result in results if result.put}
            unsettled = {result.name for result in results if not result.stayed}
            done |= {name: version for name in moving if name not in unsettled}
            pause = _BETWEEN_ROUNDS if unsettled else pause
            put = put or any(result.put for result in results)
        if not put:
            return [Move(name=name, version=version) for name, version in written.items()]
        known = None
    message = f"the floats of {repository} do not settle: another release moves them, or the registry loses them"
    raise RegistryError(message, hint="./inv release --resume")


def _is_current(registry: RegistryClient, repository: str, name: str, version: Version) -> bool:
    wanted = registry.seen(repository, str(version)) or registry.digest(repository, str(version))
    return digest_unless_unreadable(registry, repository, name) == wanted


def _record_of(published: Published, line: Line, version: Version) -> Record:
    record = published.record(line, version)
    if record is None:
        raise RegistryError(
            f"{published.repository(line)}:{version} was complete and is gone", hint="restore the registry"
        )
    return record


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pointed:
    """The outcome for one float: whether it had to be put, and whether it was right afterwards."""

    name: str
    put: bool
    stayed: bool


def _point(
    published: Published,
    line: Line,
    record: Record,
    floats: Sequence[str],
    staged: Mapping[str, RawManifest],
    *,
    remembered: bool,
) -> list[_Pointed]:
    """Point `floats` of every service at a release; those that stayed, of its release repository too.

    With `remembered`, what this run read of a float earlier still holds.
    """
    registry = published.registry

    def point(service: str) -> list[_Pointed]:
        digest = record.services[service].digest
        local = staged.get(service)
        stored = local if local and local.digest == digest else None
        repository = published.images_of(service)
        return _point_repository(registry, repository, floats, digest, stored, remembered=remembered)

    results = [pointed for of_service in at_once(point, record.services) for pointed in of_service]
    settled = [name for name in floats if all(pointed.stayed for pointed in results if pointed.name == name)]
    manifest = of_record(record).manifest
    return results + _point_repository(
        registry, published.repository(line), settled, manifest.digest, manifest, remembered=remembered
    )


def _point_repository(
    registry: RegistryClient,
    repository: str,
    floats: Sequence[str],
    digest: str,
    stored: RawManifest | None,
    *,
    remembered: bool,
) -> list[_Pointed]:
    results = []
    for name in floats:
        seen = registry.seen(repository, name)
        if seen is None or (seen == digest and not remembered):
            seen = digest_unless_unreadable(registry, repository, name)
        if seen == digest:
            results.append(_Pointed(name=name, put=False, stayed=True))
            continue
        stored = stored or load(registry, repository, digest)
        results.append(_Pointed(name=name, put=True, stayed=_put(registry, repository, name, stored)))
    return results


def _put(registry: RegistryClient, repository: str, tag: str, stored: RawManifest) -> bool:
    try:
        registry.put_manifest(repository, tag, stored.content, stored.media_type)
    except RegistryError as error:
        if registry.digest(repository, tag) == stored.digest:
            return True
        if error.status in _REFUSALS:
            hint = "./inv doctor --registry learns who moves floats there; then ./inv release --resume"
            raise error.with_message(str(error), hint=hint) from error
        raise
    return registry.digest(repository, tag) == stored.digest
