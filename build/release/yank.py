"""Withdrawing releases: they are marked, their floats move on, and their immutable tags stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from semver import Version

from build.config.manifest import Manifest
from build.errors import ReleaseRefused
from build.git.remote import configured_remote
from build.git.versions import Line
from build.registry import policy
from build.registry.client import RegistryClient
from build.release import candidates, carried, claim, floats, publish
from build.release.floats import Move
from build.release.names import git_tag, yank_tag
from build.release.published import Known, Published
from build.release.record import of_yank
from build.typed import suggest

GONE = "gone"  # in place of a version: every release that the registry has lost


@dataclass(frozen=True, kw_only=True, slots=True)
class Yanked:
    """What a yank did, or would do, to a line.

    `moved` are the floats that it moved, and `left` those that still name a withdrawn release because no other is left.
    """

    line: str
    versions: tuple[str, ...]
    moved: tuple[Move, ...] = ()
    left: tuple[str, ...] = ()


def yank(
    manifest: Manifest, version: str, reason: str, *, service: str = "", dry_run: bool = False
) -> list[Yanked]:  # fmt: skip
    """Mark a release as withdrawn, and point the floats that named it at the highest release that is left.

    An interrupted release is given up this way. With GONE for `version`, every release is withdrawn that the registry
    has lost: on the line of `service`, or on every line. Repeating it finishes an interrupted yank. With `dry_run`,
    nothing is changed, and `moved` and `left` are what they would be.
    Raises ReleaseRefused for a version that was never released, or without a reason; RepositoryError, RegistryError.
    """
    if not reason.strip() and not dry_run:
        raise ReleaseRefused("a yank needs a reason: people will ask", hint=f'./inv yank {version} --reason "…"')
    with _published(manifest) as published:
        chosen = published.lines if version == GONE and not service else (_line(published.lines, service),)
        found = [(line, _versions(manifest, published, line, version)) for line in chosen]
        if dry_run:
            return [_planned(manifest, published, line, versions) for line, versions in found if versions]
        return [_withdraw(manifest, published, line, versions, reason) for line, versions in found if versions]


@contextmanager
def _published(manifest: Manifest) -> Iterator[Published]:
    with RegistryClient(manifest) as registry:
        claims = claim.fetch_claims(manifest, configured_remote(manifest.root, manifest.release.remote))
        yield Published(manifest, registry, claims, kept=candidates.kept(manifest.workspace.candidates))


def _withdraw(
    manifest: Manifest, published: Published, line: Line, versions: Collection[Version], reason: str
) -> Yanked:  # fmt: skip
    registry, repository = published.registry, published.repository(line)
    before = published.known(line)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    for version in versions:
        if version not in before.yanked:
            mark = of_yank(line.name, str(version), reason, created)
            publish.store(registry, repository, yank_tag(version), mark)
    withdrawn = Yanked(line=line.name, versions=tuple(map(str, versions)))
    if policy.policy(manifest, registry).floats != "client":
        return withdrawn
    moves = floats.move_floats(published, line)
    remaining = floats.winners(published.known(line).eligible)
    named = {name for version in versions if version in before.complete for name in floats.names(version)}
    left = tuple(sorted(named - remaining.keys()))
    return Yanked(line=line.name, versions=withdrawn.versions, moved=tuple(moves), left=left)


def _planned(manifest: Manifest, published: Published, line: Line, versions: Collection[Version]) -> Yanked:
    """What withdrawing these versions would do, by what the registry has now."""
    withdrawn = Yanked(line=line.name, versions=tuple(map(str, versions)))
    learnt = policy.cached(manifest)  # a probe would write
    if learnt and learnt.floats != "client":
        return withdrawn
    eligible = set(published.known(line).eligible)
    before, after = floats.winners(eligible), floats.winners(eligible - set(versions))
    losing = [name for name, version in before.items() if version in versions]
    moved = tuple(Move(name=name, version=after[name]) for name in losing if name in after)
    left = tuple(sorted(name for name in losing if name not in after))
    return Yanked(line=line.name, versions=withdrawn.versions, moved=moved, left=left)


def _line(lines: Sequence[Line], service: str) -> Line:
    by_name = {line.name: line for line in lines}
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    if service not in by_name:
        message = f"every service has its own versions here: which service?{suggest(service, by_name)}"
        raise ReleaseRefused(message, hint=f"--service {next(iter(by_name))}")
    return by_name[service]


def _versions(manifest: Manifest, published: Published, line: Line, text: str) -> list[Version]:
    """The versions of a line that `text` names: one that was released or claimed, or those that are gone."""
    known = published.known(line)
    if text == GONE:
        return sorted(known.gone | set(_without_images(published, line, known)))
    try:
        version = Version.parse(text.removeprefix(line.prefix))
    except ValueError:
        message = f"{text!r} is not a semantic version"
        raise ReleaseRefused(message, hint='./inv yank 1.4.0 --reason "…"; or gone instead of 1.4.0') from None
    tag = git_tag(line, version)
    if version in known.complete or tag in carried.records(manifest.root, [tag]):
        return [version]
    raise ReleaseRefused(f"{line.name} {version} was never released here", hint="./inv releases")


def _without_images(published: Published, line: Line, known: Known) -> Iterator[Version]:
    for version in known.eligible:
        record = published.record(line, version)
        if record and record.registry == published.home and not published.has_images(record):
            yield version
