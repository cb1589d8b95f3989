"""Worlds for planning, made of plain values: two services, any history, any registry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from semver import Version

from build.config.manifest import Manifest
from build.git.commits import parse
from build.git.tags import Versions
from build.git.versions import History, LineHistory, lines
from build.release import plan
from build.release.plan import Plan, PlannedLine
from build.release.published import Known
from build.release.request import Request
from build.release.world import Details, World
from tests.support.project import Project

HEAD = "c0ffee0" + "0" * 33
SERVICES = ("one", "two")


def two_services(project: Project) -> Manifest:
    """The manifest of a project with two services in lockstep, whose first release is 0.1.0."""
    for number, name in enumerate(SERVICES):
        project.service(name, 18980 + number)
    return project.load()


def version_set(*versions: str) -> frozenset[Version]:
    """Return a set of parsed versions."""
    return frozenset(map(Version.parse, versions))


def world(
    manifest: Manifest, last: str = "", *commits: str, released: tuple[str, ...] = (), branch: str = "main", **more: Any
) -> World:
    """Return a world whose last version on every line is `last`, with these commits after it.

    `released` are the complete releases (default: `last`), tagged on the remote and known in this clone.
    """
    released = released or ((last,) if last else ())
    histories = {
        line.name: LineHistory(
            line=line, last=Version.parse(last) if last else None, last_tag=f"{line.prefix}{last}" if last else "",
            taken=Versions(version_set(*released)), distance=len(commits),
            commits=tuple(parse(text, commit=HEAD) for text in commits),
        )
        for line in lines(manifest)
    }  # fmt: skip
    history = History(
        commit=HEAD, committed=0, branch=branch, shallow=False, dirty=False, changed=(), differences=(),
        remote="", lines=histories,
    )  # fmt: skip
    claims = {f"{line.prefix}{version}": version for line in lines(manifest) for version in released}
    known = Known(complete=version_set(*released), yanked=frozenset())
    base = World(
        manifest=manifest, history=history, claims=claims, known=dict.fromkeys(histories, known),
        fingerprints={name: f"of {name}" for name in SERVICES},
    )  # fmt: skip
    return replace(base, **more)


def planned(at: World, request: Request | None = None, **details: Any) -> Plan:
    """Return the plan of a world whose registry has none of the tags that would move, except `details` of every line."""
    request = request or Request()
    complete = {
        name: Details(**{"before": dict.fromkeys(tags(at, name, due.version), "")} | details)
        for name, due in plan.due(at, request).items()
    }
    return plan.compute(replace(at, details=complete), request)


def tags(at: World, name: str, version: Version) -> list[tuple[str, str]]:
    """Return the tags that a release of this version moves on a line."""
    line = at.history.lines[name]
    return at.moving(line, version, line.line.services)


def only(plan: Plan) -> PlannedLine:
    """Return the only line of a plan."""
    (line,) = plan.lines
    return line


def versions(plan: Plan) -> dict[str, str]:
    """The version of each line of a plan."""
    return {line.line: line.version for line in plan.lines}


def moved(plan: Plan) -> dict[str, tuple[str, str]]:
    """The tags that move in the first service's repository: before and after."""
    return {tag.tag: (tag.before, tag.after) for tag in only(plan).tags if tag.repository == "test/one"}
