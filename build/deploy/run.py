"""The state of a deploy: what was asked for, and what its steps have found so far."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from build.config.manifest import Manifest
from build.deploy import ledger
from build.deploy.archive import Archive
from build.deploy.changes import Change, changes
from build.deploy.ledger import Action, DataChange, Entry
from build.deploy.released import ReleasedSet
from build.deploy.target import DeployedSet, Target
from build.errors import DeployRefused


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the caller asked for.

    A deploy has `version`, and with `services` leaves the others as they are. A roll back may have `back_to`, a release
    or the number of a deploy; a rotation has `secret`. `resume`: only finish what is open. `adopt`: replace what was
    changed by hand, or was never deployed. `basis` is that of a saved plan, which must still hold. `accept` names the
    volumes whose data may be lost; `restore` is the backup to bring in, for `services` if there are any, `foreign` if
    that may be of another project.
    """

    action: Action = "deploy"
    version: str = ""
    services: tuple[str, ...] = ()
    back_to: str = ""
    secret: str = ""
    resume: bool = False
    adopt: bool = False
    break_lock: bool = False
    basis: str = ""
    accept: tuple[str, ...] = ()
    restore: Archive | None = None
    foreign: bool = False


@dataclass(slots=True)
class Held:
    """What a run holds of its target, and must give back or account for: the lock, and the entry it has open.

    `undone` is the entry of an earlier process that was undone, `lost` says which data was lost on the way back.
    """

    resources: ExitStack = field(default_factory=ExitStack)
    entry: Entry | None = None
    undone: Entry | None = None
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The state that goes from step to step; each step adds to it and leaves what others added unchanged."""

    manifest: Manifest
    name: str
    target: Target
    options: Options
    held: Held = field(default_factory=Held)
    released: ReleasedSet | None = None
    history: tuple[Entry, ...] = ()
    wanted: DeployedSet | None = None
    origin: int = 0
    changes: tuple[Change, ...] = ()
    data: dict[str, DataChange] = field(default_factory=dict)
    number: int = 0

    @property
    def current(self) -> DeployedSet | None:
        """The set in force by the target's journal."""
        return ledger.current(self.history)

    def aimed_at(self, wanted: DeployedSet, *, origin: int = 0) -> Run:
        """The run with the set to be brought, and what that changes of what is observed now."""
        due = changes(wanted.specs, self.target.observe(wanted.specs))
        return replace(self, wanted=wanted, origin=origin, changes=tuple(due))

    @property
    def plan(self) -> dict[str, Any]:
        """What is going to change, for people, hooks and files."""
        assert self.wanted is not None
        return {
            "target": self.name,
            "place": self.target.place,
            "action": self.options.action,
            "version": self.options.version,
            "release": self.wanted.release,
            "before": self.current.release if self.current else None,
            "records": self.wanted.records,
            "changes": self.changes,
            "data": self.data,
            "basis": self.basis,
        }

    @property
    def basis(self) -> str:
        """What a saved plan depends on: the newest entry of the journal, and what is wanted, by its hashes."""
        assert self.wanted is not None
        number = self.history[-1].number if self.history else 0
        parts = [f"{name}={spec.hash}" for name, spec in sorted(self.wanted.specs.items())]
        seen = [f"{change.container}:{change.action}" for change in self.changes]
        return f"{number} " + " ".join([*parts, *seen])

    def require_basis(self) -> None:
        """Raise DeployRefused if what a saved plan depends on has changed since."""
        if self.options.basis and self.options.basis != self.basis:
            message = "the target, or what would be deployed, has changed since the plan was made"
            raise DeployRefused(message, hint="make the plan again, and look at it: ./inv deploy VERSION --plan FILE")
