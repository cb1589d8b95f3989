"""The releases there are, and taking one back: what git claimed, joined with what the registry holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from semver import Version

from build import console
from build.config.manifest import Manifest
from build.errors import ReleaseRefused, RepositoryError
from build.git.remote import configured_remote, remote_tags
from build.git.versions import Line, lines
from build.parallel import at_once
from build.registry import policy
from build.registry.client import Distribution
from build.release import claim, floats, plan, publish, survey
from build.release.plan import repository
from build.release.publish import Known, Move
from build.release.record import Record, of_yank
from build.typed import suggest


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release as it is listed.

    `state` is complete, interrupted (claimed, and not all in the registry), yanked, or foreign: a version in git or
    in the release repository that no release of this registry made. `skipped` are its skipped gates, `digests` its
    services' images.
    """

    line: str
    version: str
    tag: str
    state: Literal["complete", "interrupted", "yanked", "foreign"]
    created: str = ""
    commit: str = ""
    authority: str = ""
    skipped: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    reason: str = ""
    digests: dict[str, str] | None = None


def all_of(manifest: Manifest) -> list[Release]:
    """Every release that git's tags or the registry know, newest version first, line by line.

    A remote that does not answer is a warning: what was claimed elsewhere and interrupted is not listed then.
    """
    with Distribution(manifest) as registry:
        try:
            survey.claims(manifest, configured_remote(manifest.root, manifest.release.remote))
        except RepositoryError as silent:
            console.warn(f"{silent}; the tags of this clone are listed")
        tags = remote_tags(manifest.root, "")
        return [one for line in lines(manifest) for one in _of_line(manifest, registry, line, list(tags))]


def _of_line(manifest: Manifest, registry: Distribution, line: Line, tags: Sequence[str]) -> list[Release]:
    target = repository(manifest, line.name)
    there = publish.known(registry, target)
    named = plan.versions_of(line, dict.fromkeys(tags, ""))
    records = {one.parsed: one for one in claim.records(manifest.root, list(named.values())).values()}
    absent = [version for version in there.complete if version not in records]
    fetched = at_once(lambda version: publish.fetch(registry, target, str(version)), absent)
    records |= {version: one for version, one in zip(absent, fetched, strict=True) if one}
    versions = sorted({*named, *there.complete, *there.foreign}, reverse=True)
    reasons = {
        version: publish.yank_reason(registry, target, str(version)) or ""
        for version in versions if version in there.yanked
    }  # fmt: skip
    return [
        _release(line, version, named.get(version, ""), records.get(version), there, reasons.get(version, ""))
        if _is_ours(records.get(version), manifest)
        else Release(line=line.name, version=str(version), tag=named.get(version, ""), state="foreign")
        for version in versions
    ]


def _is_ours(record: Record | None, manifest: Manifest) -> bool:
    return record is not None and record.registry == manifest.home


def _release(line: Line, version: Version, tag: str, record: Record | None, there: Known, reason: str) -> Release:
    assert record is not None
    whole: Literal["complete", "interrupted"] = "complete" if version in there.complete else "interrupted"
    return Release(
        line=line.name,
        version=str(version),
        tag=tag or record.tag,
        state="yanked" if version in there.yanked else whole,
        created=record.created,
        commit=record.commit,
        authority=record.authority,
        skipped=record.skipped,
        waivers=record.gates["scan"].waivers if "scan" in record.gates else (),
        stand_ins=record.stand_ins,
        reason=reason,
        digests={name: one.digest for name, one in record.services.items()},
    )


def references(manifest: Manifest, wanted: str, services: Sequence[str]) -> dict[str, str]:
    """The images of a complete release (service → name@digest), from its record and never from an image's tag.

    `wanted` is a version, or a float such as 1.4. Raises ReleaseRefused when there is none, it was withdrawn, or it was
    made in another registry; NoRecord when something else has its name.
    """
    found: dict[str, str] = {}
    with Distribution(manifest) as registry:
        for line in lines(manifest):
            if not set(line.services) & set(services):
                continue
            record = _to_take(manifest, registry, line, wanted)
            found |= {name: f"{record.registry}/{name}@{one.digest}" for name, one in record.services.items()}
    return found


def _to_take(manifest: Manifest, registry: Distribution, line: Line, wanted: str) -> Record:
    target = repository(manifest, line.name)
    record = publish.fetch(registry, target, wanted.removeprefix(line.prefix))
    if record is None:
        message = f"{line.name} has no complete release {wanted}"
        raise ReleaseRefused(message, hint="./inv releases; an interrupted one: ./inv release --resume")
    if not _is_ours(record, manifest):
        message = f"{line.name} {record.version} was made in {record.registry}, and this is {manifest.home}"
        raise ReleaseRefused(message, hint="set UC_REGISTRY_ADDRESS and UC_REGISTRY_NAMESPACE to where it was made")
    if (reason := publish.yank_reason(registry, target, record.version)) is not None:
        message = f"{line.name} {record.version} was withdrawn: {reason}"
        raise ReleaseRefused(message, hint="./inv releases shows what is left")
    return record


@dataclass(frozen=True, kw_only=True, slots=True)
class Yanked:
    """What a yank did: the floats that it moved, and those that still name the release, because no other is left."""

    line: str
    version: str
    moved: tuple[Move, ...]
    left: tuple[str, ...]


def yank(manifest: Manifest, version: str, reason: str, *, service: str = "") -> Yanked:
    """Mark a release as withdrawn and let the floats name the best that is left; its immutable tags stay.

    An interrupted release is given up by this. Doing it again finishes what a killed yank began.
    Raises ReleaseRefused for a version that was never released, or without a reason.
    """
    if not reason.strip():
        raise ReleaseRefused("a yank needs a reason: people will ask", hint='./inv yank --version 1.4.0 --reason "…"')
    line = _line(manifest, service)
    with Distribution(manifest) as registry:
        survey.claims(manifest, configured_remote(manifest.root, manifest.release.remote))
        target, found = repository(manifest, line.name), _known_version(manifest, registry, line, version)
        there = publish.known(registry, target)
        if found not in there.yanked:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            publish.store(registry, target, f"{found}-yanked", of_yank(line.name, str(found), reason, created))
        if policy.policy(manifest, registry).floats != "client":
            return Yanked(line=line.name, version=str(found), moved=(), left=())
        moves = publish.move_floats(registry, target)
        remaining = floats.winners(publish.known(registry, target).eligible)
        left = tuple(name for name in floats.names(found) if name not in remaining and found in there.complete)
        return Yanked(line=line.name, version=str(found), moved=tuple(moves), left=left)


def _line(manifest: Manifest, service: str) -> Line:
    known = {line.name: line for line in lines(manifest)}
    if len(known) == 1:
        return next(iter(known.values()))
    if service not in known:
        message = f"each service has versions of its own here: which one?{suggest(service, known)}"
        raise ReleaseRefused(message, hint=f"--service {next(iter(known))}")
    return known[service]


def _known_version(manifest: Manifest, registry: Distribution, line: Line, text: str) -> Version:
    try:
        version = Version.parse(text.removeprefix(line.prefix))
    except ValueError:
        raise ReleaseRefused(f"{text!r} is no semantic version", hint="--version 1.4.0") from None
    there = publish.known(registry, repository(manifest, line.name))
    tag = f"{line.prefix}{version}"
    if version in there.complete or tag in claim.records(manifest.root, [tag]):
        return version
    raise ReleaseRefused(f"{line.name} {version} was never released here", hint="./inv releases")
