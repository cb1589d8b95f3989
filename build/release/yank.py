"""Withdrawing a release: it is marked, its floats move on, and its immutable tags stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from semver import Version

from build.config.manifest import Manifest
from build.errors import ReleaseRefused
from build.git.remote import configured_remote
from build.git.versions import Line, lines
from build.registry import policy
from build.registry.client import RegistryClient
from build.release import claim, floats, publish, published
from build.release.floats import Move
from build.release.names import git_tag, release_repository, yank_tag
from build.release.published import Known
from build.release.record import of_yank
from build.typed import suggest


@dataclass(frozen=True, kw_only=True, slots=True)
class Yanked:
    """What a yank did: the floats that it moved, and those that still name the release because no other is left."""

    line: str
    version: str
    moved: tuple[Move, ...]
    left: tuple[str, ...]


def yank(manifest: Manifest, version: str, reason: str, *, service: str = "") -> Yanked:
    """Mark a release as withdrawn, and point the floats that named it at the highest release that is left.

    An interrupted release is given up this way. Repeating it finishes an interrupted yank.
    Raises ReleaseRefused for a version that was never released, or without a reason; RepositoryError, RegistryError.
    """
    if not reason.strip():
        raise ReleaseRefused("a yank needs a reason: people will ask", hint='./inv yank --version 1.4.0 --reason "…"')
    line = _line(manifest, service)
    with RegistryClient(manifest) as registry:
        claim.fetch_claims(manifest, configured_remote(manifest.root, manifest.release.remote))
        repository = release_repository(manifest, line.name)
        known = published.known(registry, repository)
        parsed = _released(manifest, known, line, version)
        if parsed not in known.yanked:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            publish.store(registry, repository, yank_tag(parsed), of_yank(line.name, str(parsed), reason, created))
        if policy.policy(manifest, registry).floats != "client":
            return Yanked(line=line.name, version=str(parsed), moved=(), left=())
        moves = floats.move_floats(registry, repository)
        remaining = floats.winners(published.known(registry, repository).eligible)
        left = tuple(name for name in floats.names(parsed) if name not in remaining and parsed in known.complete)
        return Yanked(line=line.name, version=str(parsed), moved=tuple(moves), left=left)


def _line(manifest: Manifest, service: str) -> Line:
    by_name = {line.name: line for line in lines(manifest)}
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    if service not in by_name:
        message = f"every service has its own versions here: which service?{suggest(service, by_name)}"
        raise ReleaseRefused(message, hint=f"--service {next(iter(by_name))}")
    return by_name[service]


def _released(manifest: Manifest, known: Known, line: Line, text: str) -> Version:
    """The version that `text` names, if it was released or claimed."""
    try:
        version = Version.parse(text.removeprefix(line.prefix))
    except ValueError:
        raise ReleaseRefused(f"{text!r} is not a semantic version", hint="--version 1.4.0") from None
    tag = git_tag(line, version)
    if version in known.complete or tag in claim.records(manifest.root, [tag]):
        return version
    raise ReleaseRefused(f"{line.name} {version} was never released here", hint="./inv releases")
