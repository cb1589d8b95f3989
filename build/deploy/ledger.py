"""The journal of a target: a numbered entry for each deploy and roll back, kept by the target itself.

An entry is written once when it opens and once when it closes. Between the two it is open: whatever ended the process,
the next one reads from it which set was to run and which one ran before.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from build.deploy.target import DeployedSet, Item, Store
from build.errors import DeployRefused, ManifestError
from build.typed import from_table

SCHEMA = 1
State = Literal["open", "done", "rolled-back", "failed"]
Action = Literal["deploy", "rollback", "rotate", "restore"]
_PREFIX = "entry-"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataChange:
    """What becomes of the data of a volume before the set that is to come starts on it.

    It is of the format `written`; the new set writes `wanted`. `loads` says in words which data replaces it, "" if it
    stays.
    """

    written: int
    wanted: int
    loads: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A deploy or a roll back: who made it, where and when (UTC), and the sets before and after it.

    `origin` is the number of the deploy that first brought the set `after`: its own, or of a roll back that of the one
    it goes back to. `reason` is why it did not end in `after`. In the state `failed` nothing was there to go back to.
    `data` has the volumes whose data was kept before `after` started on them.
    """

    schema: int = SCHEMA
    number: int
    origin: int
    action: Action
    state: State
    who: str
    host: str
    began: str
    ended: str = ""
    reason: str = ""
    before: DeployedSet | None = None
    after: DeployedSet
    data: dict[str, DataChange] = field(default_factory=dict)

    @property
    def in_force(self) -> DeployedSet | None:
        """The set that runs since it has closed; None if none does."""
        return {"done": self.after, "rolled-back": self.before}.get(self.state)


def headline(reason: str) -> str:
    """The first line of why something failed, with the next one if it only announces that; "" without a reason."""
    first, _, others = reason.partition("\n")
    return f"{first} {others.partition(chr(10))[0]}".strip() if first.endswith(":") else first


def entries(store: Store) -> list[Entry]:
    """Every entry, the oldest first. Raises DeployRefused for one that another version of the toolkit wrote."""
    return _read(store.items())


def tidied(store: Store) -> list[Entry]:
    """Every entry, as `entries` has them; what is left of one that was killed as it closed its own is removed."""
    items = store.items()
    known = _read(items)
    _remove_others(store, items, known)
    return known


def _read(items: Sequence[Item]) -> list[Entry]:
    by_number: dict[int, Entry] = {}
    for item in items:
        if item.name.startswith(_PREFIX):
            entry = _decode(item.content)
            if entry.number not in by_number or by_number[entry.number].state == "open":
                by_number[entry.number] = entry
    return [by_number[number] for number in sorted(by_number)]


def unfinished(history: Sequence[Entry]) -> Entry | None:
    """The entry that is open: the last one, or none."""
    return history[-1] if history and history[-1].state == "open" else None


def current(history: Sequence[Entry]) -> DeployedSet | None:
    """The set in force by the last closed entry; None before the first, and after one that failed."""
    closed = [entry for entry in history if entry.state != "open"]
    return closed[-1].in_force if closed else None


def require_current(history: Sequence[Entry], target: str) -> DeployedSet:
    """The set in force by the last closed entry. Raises DeployRefused if there is none."""
    if (deployed := current(history)) is None:
        raise DeployRefused(f"nothing is deployed to {target}", hint="./inv deploy VERSION")
    return deployed


def origin(history: Sequence[Entry]) -> int:
    """The number of the deploy that first brought the set in force; 0 if none is.

    Whoever was rolled back leaves that of the set before, which runs again.
    """
    number = 0
    for entry in history:
        if entry.state in {"done", "failed"}:
            number = entry.origin if entry.state == "done" else 0
    return number


def earlier(history: Sequence[Entry], wanted: str = "") -> Entry:
    """The entry to go back to: the last deploy before the set in force, or the last of the release `wanted`.

    `wanted` may be an entry's number, too. Raises DeployRefused if there is none.
    """
    now = current(history)
    done = [entry for entry in history if entry.state == "done"]
    if wanted:
        chosen = [entry for entry in done if wanted in {entry.after.release, str(entry.number)}]
        what = f"no deploy of {wanted} is in the history of this target"
    else:
        before = origin(history) or len(history) + 1
        chosen = [entry for entry in done if entry.number < before and entry.after != now]
        what = "there is no earlier set to go back to"
    if not chosen:
        raise DeployRefused(what, hint="./inv deploys   lists what there is; ./inv deploy VERSION brings any release")
    return chosen[-1]


def next_number(history: Sequence[Entry]) -> int:
    """The number of the next entry."""
    return history[-1].number + 1 if history else 1


def begin(
    store: Store, history: Sequence[Entry], action: Action, before: DeployedSet | None, after: DeployedSet,
    *, back_to: int = 0, data: Mapping[str, DataChange] | None = None,
) -> Entry:  # fmt: skip
    """Open an entry. Raises DeployRefused if another process opened one meanwhile."""
    number = next_number(history)
    entry = Entry(
        number=number, origin=back_to or number, action=action, state="open", who=who(), host=platform.node(),
        began=_now(), before=before, after=after, data=dict(data or {}),
    )  # fmt: skip
    if not store.create(_name(entry), _encode(entry)):
        raise DeployRefused(f"deploy {number} was begun meanwhile", hint="./inv status")
    return entry


def close(store: Store, entry: Entry, state: State, reason: str = "") -> Entry:
    """Close an entry; a process that is killed meanwhile has closed it or not, and nothing else.

    Raises DeployRefused if another process has closed it.
    """
    closed = replace(entry, state=state, ended=_now(), reason=reason)
    if not store.create(_name(closed), _encode(closed)):
        raise DeployRefused(f"{entry.action} {entry.number} was closed meanwhile", hint="./inv deploys")
    _forget_opened(store, closed)
    return closed


def sweep(store: Store, history: Sequence[Entry], kept: int) -> list[Entry]:
    """Remove all but the last `kept` entries, and what a kill left of those; return the ones that stay."""
    remaining = list(history[-kept:])
    _remove_others(store, store.items(), remaining)
    return remaining


def _remove_others(store: Store, items: Sequence[Item], kept: Sequence[Entry]) -> None:
    names = {_name(entry) for entry in kept}
    for item in items:
        if item.name.startswith(_PREFIX) and item.name not in names:
            store.remove(item)


def who() -> str:
    """Who deploys: the person that a pipeline names, else the user of this process."""
    for variable in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_REQUESTEDFOR"):
        if name := os.environ.get(variable):
            return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _forget_opened(store: Store, entry: Entry) -> None:
    opened = _name(replace(entry, state="open"))
    for item in store.items():
        if item.name == opened:
            store.remove(item)


def _name(entry: Entry) -> str:
    return f"{_PREFIX}{entry.number:06d}-{'open' if entry.state == 'open' else 'closed'}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _encode(entry: Entry) -> dict[str, Any]:
    table = dataclasses.asdict(entry)
    return {key: value for key, value in table.items() if value is not None}


def _decode(table: dict[str, Any]) -> Entry:
    if table.get("schema") != SCHEMA:
        message = f"the target's journal has schema {table.get('schema')!r}, this toolkit reads {SCHEMA}"
        raise DeployRefused(message, hint="deploy with the version of the toolkit that wrote it")
    try:
        return from_table(Entry, table, "", source="journal")
    except ManifestError as error:
        raise DeployRefused(f"an entry of the target's journal can't be read: {error}", hint="./inv deploys") from None
