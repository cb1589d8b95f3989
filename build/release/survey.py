"""What a release looks at: git here and on the remote, the registry, the bases, what earlier releases left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from build import console
from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import BaseUnavailable, BuildError, RegistryError, VersionTaken
from build.gates.scan.trivy import trivy
from build.git import history as git_history
from build.git.remote import fetch_version_tags, newest_tags, remote_tags
from build.git.versions import Line, lines, parse_tag
from build.images import bases
from build.images.plan import BuildPlan, plan_build
from build.parallel import at_once
from build.registry import policy
from build.registry.client import Distribution
from build.release import claim, floats, plan, preflight, publish
from build.release.plan import World, repository
from build.release.publish import Known, Move
from build.release.record import Record

_LATEST = 16  # releases that may have run at once


def look(
    manifest: Manifest, registry: Distribution, remote: str, environment: Mapping[str, str]
) -> tuple[World, BuildPlan]:
    """The world that a plan is computed from, and the plan of a build of all services as they are now.

    The versions of that build are not known yet: `relabelled` puts them in.

    Where HEAD is detached, as in a GitLab job, the branch is what the CI system says in `environment`.
    Raises BaseUnavailable when a base can't be had: a release has every service, or is none.
    """
    history = git_history.read(manifest)
    git_history.require_history(manifest.root, history, manifest.release)
    history = replace(history, branch=history.branch or preflight.branch(environment))
    resolved, reasons = bases.resolve(manifest, [key for one in manifest.services.values() for key in one.bases])
    if reasons:
        said = "; ".join(f"{manifest.bases.images[key].reference}: {reason}" for key, reason in reasons.items())
        raise BaseUnavailable(f"a release has every service, and these bases can't be had: {said}", hint="./inv bases")
    services = list(manifest.services)
    build_plan = plan_build(manifest, history, dict.fromkeys(services, "0"), resolved, services)
    world = World(
        manifest=manifest,
        history=history,
        remote_tags=remote_tags(manifest.root, remote),
        registry=registry,
        known=known(manifest, registry),
        fingerprints=build_plan.fingerprints,
    )
    return world, build_plan


def known(manifest: Manifest, registry: Distribution) -> dict[str, Known]:
    """The releases of each line that the registry knows."""
    names = [line.name for line in lines(manifest)]
    found = at_once(lambda name: publish.known(registry, repository(manifest, name)), names)
    return dict(zip(names, found, strict=True))


def claims(manifest: Manifest, remote: str) -> dict[str, str]:
    """Every version tag that counts, fetched: name → object. Says which do not, because only this clone has them."""
    prefixes = [line.prefix for line in lines(manifest)]
    found = fetch_version_tags(manifest.root, remote, prefixes)
    if remote and (alone := claim.only_here(manifest.root, found, prefixes)):
        console.warn(
            f"{', '.join(alone)}: {remote} has no such tag, so it is no release (git tag --delete, or git push it)"
        )
    return found


def unfinished(manifest: Manifest, registry: Distribution, tags: Mapping[str, str]) -> list[Record]:
    """The releases that `tags` claim in this registry and that are not complete there, oldest first.

    Tags without a record were not made by a release, and those of another registry are not ours to finish. A version
    that was yanked before it was complete was given up.
    """
    found: list[Record] = []
    for line in lines(manifest):
        there = publish.known(registry, repository(manifest, line.name))
        missing = [
            tag for version, tag in plan.versions_of(line, tags).items()
            if version not in there.complete and version not in there.yanked
        ]  # fmt: skip
        records = claim.records(manifest.root, missing)
        found += [one for one in records.values() if one.registry == manifest.home and _is_of(one, line)]
    return sorted(found, key=lambda one: one.created)


def _is_of(record: Record, line: Line) -> bool:
    version = parse_tag(line.prefix, record.tag)
    return version is not None and str(version) == record.version


def settle(
    manifest: Manifest, registry: Distribution, tags: Collection[str], *, audit: bool = False
) -> dict[str, list[Move]]:
    """Let the floats of every line name what they must; those that did not, by line.

    A float is believed to be right where the release repository's is, but for those of the last releases among `tags`:
    one of them may have been killed while it put a float back that a faster one had moved. `audit` believes none.
    """
    known_lines = lines(manifest)
    if not any(publish.known(registry, repository(manifest, line.name)).complete for line in known_lines):
        return {}
    if policy.policy(manifest, registry).floats != "client":
        return {}
    latest = dict.fromkeys(newest_tags(manifest.root, tags, _LATEST), "")
    moved = {}
    for line in known_lines:
        suspects = {name for version in plan.versions_of(line, latest) for name in floats.names(version)}
        try:
            moves = publish.move_floats(registry, repository(manifest, line.name), audit=audit, suspects=suspects)
        except RegistryError as error:
            error.args = (f"the floats of {line.name} are not right: {error}",)
            error.hint = error.hint if "--resume" in error.hint else "./inv release --resume"
            raise
        if moves:
            moved[line.name] = moves
    return moved


def behind(manifest: Manifest, registry: Distribution, moved: Mapping[str, Sequence[Move]]) -> list[Record]:
    """The releases whose floats had to be moved: each was complete, and killed before its end."""
    wanted = {(line, str(move.version)) for line, moves in moved.items() for move in moves}
    found = [publish.fetch(registry, repository(manifest, line), version) for line, version in sorted(wanted)]
    return [one for one in found if one]


@contextlib.contextmanager
def explained(record: Record, said: str) -> Iterator[None]:
    """Let a failure after the claim say how far its release is, and what finishes it or gives it up."""
    try:
        yield
    except BuildError as error:
        error.args = (f"{record.tag} is {said}: {error}",)
        service = f" --service {record.line}" if record.tag.startswith(f"{record.line}/") else ""
        give_up = f'./inv yank {record.version}{service} --reason "…"'
        if isinstance(error, VersionTaken):
            error.hint = f"give it up: {give_up}; then ./inv release takes the next version"
        elif "--resume" not in error.hint:
            error.hint = f"./inv release --resume   (or give it up: {give_up})"
        raise


def released_images(manifest: Manifest, world: World, besides: Collection[str]) -> dict[str, str]:
    """name@digest of the newest release of every service that is not in `besides`: whom candidates are tested with."""
    found = {}
    for name, line in world.history.lines.items():
        eligible = world.known[name].eligible
        if not eligible or set(line.line.services) <= set(besides):
            continue
        record = publish.fetch(world.registry, repository(manifest, name), str(max(eligible)))
        for service in line.line.services if record else ():
            if record and service in record.services and service not in besides:
                found[service] = f"{manifest.image(service)}@{record.services[service].digest}"
    return found


def tools(manifest: Manifest) -> dict[str, str]:
    """The versions of what made a release: engine, buildx, Compose, Trivy."""
    found = docker.versions()
    told = json.loads(trivy(manifest.workspace.trivy, "version", "--format", "json").stdout)
    return {**found, "trivy": str(told.get("Version", ""))}
