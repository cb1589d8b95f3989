"""What runs on a target, what its journal says, and where the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from build import console
from build.config.manifest import Manifest
from build.deploy import drift, kinds, ledger, locking
from build.deploy.ledger import Entry
from build.deploy.target import DeployedSet
from build.errors import BuildError
from build.git.versions import lines
from build.release.yank import Yanked


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerStatus:
    """A container of a target: what runs (name@digest), since when, on which nodes, and how it differs from the record.

    `replicas` of the `wanted` ones run; `url` is where this machine reaches it, "" if it has no way.
    """

    container: str
    service: str
    version: str
    image: str
    state: str
    health: str
    since: str
    replicas: int
    wanted: int
    nodes: tuple[str, ...]
    url: str
    drift: tuple[str, ...]
    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """A target: the release in force since the deploy `number`, or none; `drift` has every difference from it.

    `state` is that of the newest entry of the journal: open after a deploy that was interrupted. `lock` is who holds
    the target now, "" if nobody does.
    """

    target: str
    kind: str
    place: str
    release: str | None
    number: int
    since: str
    state: str
    summary: str
    lock: str
    containers: tuple[ContainerStatus, ...]
    drift: tuple[str, ...]


def read(manifest: Manifest, target: str = "") -> Status:
    """The status of a target.

    Raises ManifestError for one that is not configured, MissingTool if it can't be reached.
    """
    name, place = kinds.named(manifest, target)
    history = ledger.entries(place.store)
    current = ledger.current(history)
    expected = current.specs if current else {}
    observed = place.observe(expected)
    lock = locking.holder(place.store)
    newest = history[-1] if history else None
    lines = drift.differences(current, observed) if current or not history else []
    order = {container: number for number, container in enumerate(expected)}
    containers = [
        ContainerStatus(
            container=container, service=spec.service if (spec := expected.get(container)) else "",
            version=current.versions.get(spec.service, "") if current and spec else "",
            image=now.image, state=now.state, health=now.health, since=now.since, replicas=now.replicas,
            wanted=now.wanted, nodes=now.nodes, url=place.address(container, spec) if spec else "",
            drift=tuple(line.removeprefix(f"{container}: ") for line in lines if line.startswith(f"{container}: ")),
            error=now.error,
        )
        for container, now in sorted(observed.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    ]  # fmt: skip
    return Status(
        target=name, kind=place.settings.kind, place=place.place, release=current.release if current else None,
        number=ledger.origin(history), since=newest.ended if newest else "", state=newest.state if newest else "none",
        summary=_summary(history, current), lock=locking.describe(lock) if lock else "",
        containers=tuple(containers), drift=tuple(lines),
    )  # fmt: skip


def warn_of(manifest: Manifest, withdrawn: Sequence[Yanked]) -> None:
    """Warn of each target that runs a withdrawn release, and of each that can't be asked."""
    for name in manifest.deploy.targets:
        try:
            current = ledger.current(ledger.entries(kinds.named(manifest, name)[1].store))
        except BuildError as error:
            console.warn(f"not asked whether the deploy target {name} runs it: {error}")
            continue
        running = sorted({
            f"{service} {version}"
            for line in lines(manifest)
            for each in withdrawn
            if each.line == line.name
            for service in line.services
            if current and (version := current.versions.get(service)) in each.versions
        })  # fmt: skip
        if running:
            console.warn(f"the deploy target {name} runs {', '.join(running)}: ./inv rollback --target {name}")


def _summary(history: Sequence[Entry], current: DeployedSet | None) -> str:
    """Where the target stands, in a sentence."""
    if not history:
        return "nothing was deployed here yet"
    newest = history[-1]
    what = f"{newest.action} {newest.number} to {newest.after.release}"
    if newest.state == "open":
        before = newest.before.release if newest.before else "nothing"
        return f"{what}, begun {newest.began} by {newest.who} on {newest.host}, is open; before it: {before}"
    if newest.state == "failed":
        return f"{what} failed, and there was nothing to go back to: {ledger.headline(newest.reason)}"
    if newest.state == "rolled-back":
        assert current
        return f"{what} failed, and {current.release} runs again: {ledger.headline(newest.reason)}"
    return f"{newest.after.release} since {newest.ended}, by {newest.who} on {newest.host}"


def history(manifest: Manifest, target: str = "") -> list[Entry]:
    """Every deploy and roll back that a target's journal has, the newest first. Raises as `read` does."""
    _, place = kinds.named(manifest, target)
    return ledger.entries(place.store)[::-1]
