"""Which data a set can go on with: from the journal, and from what images state."""

from __future__ import annotations

from typing import Any

import pytest

from build.deploy import formats, ledger
from build.deploy.ledger import DataChange, Entry
from build.deploy.target import DeployedSet, Spec
from build.errors import DeployRefused
from build.images.data_formats import DataFormat, of_labels
from tests.support.stores import MemoryStore

USERS = {"notes": ("api",), "tunes": ("web",)}


def _set(**stated: str) -> DeployedSet:
    """A set of both containers that states these formats; `without` leaves out the container of that volume."""
    without = stated.pop("without", "")
    specs = {
        name: Spec(service=name, image=f"127.0.0.1/{name}@sha256:{'1' * 64}", document={})
        for volume, (name,) in USERS.items()
        if volume != without
    }
    labels = of_labels({f"org.unity-claude.data-format.{volume}": value for volume, value in stated.items()})
    return DeployedSet(versions={}, records={}, specs=specs, formats=labels)


def _entry(number: int, state: Any, before: DeployedSet | None, after: DeployedSet) -> Entry:
    return Entry(
        number=number,
        origin=number,
        action="deploy",
        state=state,
        who="",
        host="",
        began="",
        before=before,
        after=after,
    )


def test_what_was_written_follows_the_journal() -> None:
    """Sets that ran have written, those given up may have; a roll back brings the data back; what left is remembered."""
    one, two, three = _set(notes="1"), _set(notes="2 reads 1"), _set(notes="3 reads 2")
    history = [_entry(1, "done", None, one)]
    assert formats.written(history, USERS) == {"notes": 1, "tunes": 1}
    history.append(_entry(2, "done", one, two))
    assert formats.written(history, USERS)["notes"] == 2
    history.append(_entry(3, "rolled-back", two, three))
    assert formats.written(history, USERS)["notes"] == 2
    history.append(_entry(4, "done", two, _set(without="notes")))
    assert formats.written(history, USERS)["notes"] == 2
    history.append(_entry(5, "failed", None, three))
    assert formats.written(history, USERS)["notes"] == 3
    history.append(_entry(6, "open", None, one))
    assert formats.written(history, USERS)["notes"] == 3


@pytest.mark.parametrize(
    ("written", "stated", "verdict"),
    [
        (1, "1", None), (3, "3 reads 1", None), (2, "3 reads 1", True), (1, "3 reads 1", True), (1, "3 reads 2", False),
        (4, "3 reads 1", False), (2, "3", False), (1, None, None), (2, None, False),
    ],
)  # fmt: skip
def test_what_a_set_can_go_on_with(written: int, stated: str | None, verdict: bool | None) -> None:
    """The same format needs nothing, an older one is read from the stated number on, a later one never.

    An image without a label writes and reads format 1.
    """
    wanted = formats.stated(_set(**({"notes": stated} if stated else {})), USERS)

    found = {one.volume: one.readable for one in formats.differing({"notes": written}, wanted)}

    assert found == ({} if verdict is None else {"notes": verdict})


def test_a_volume_that_nobody_of_the_set_writes_to_forbids_nothing() -> None:
    """Data of a later format lies there, and no container of the set starts on it."""
    wanted = formats.stated(_set(without="notes"), USERS)
    assert formats.differing({"notes": 9, "tunes": 1}, wanted) == []


def test_reasons_name_the_volume_both_numbers_and_what_to_do() -> None:
    """The message has the facts, the hint the exact flag."""
    one = formats.Differing(volume="notes", written=3, wanted=DataFormat(writes=2, reads=1))
    problem = formats.unreadable(one, "1.4.0")
    assert ("notes has data of format 3" in problem.message, "1.4.0 reads 1 to 2" in problem.message) == (True, True)
    assert "--accept-data-loss notes" in problem.hint
    assert "./inv restore" in problem.hint
    raised = formats.Differing(volume="notes", written=1, wanted=DataFormat(writes=2, reads=1))
    problem = formats.unguarded(raised, "2.0.0", "swarm")
    assert "from format 1 to 2" in problem.message
    assert "--accept-data-loss notes" in problem.hint


@pytest.mark.parametrize("accepted", ["note", "Notes", "notes ", "tunes", "notes,tunes", "all", "*"])
def test_only_the_exact_name_of_a_volume_at_stake_is_accepted(accepted: str) -> None:
    """A name that is nearly right, or of a volume without danger, loses no data."""
    formats.require_at_stake(["notes"], ["notes"])
    with pytest.raises(DeployRefused, match="no data of this volume is at stake"):
        formats.require_at_stake([accepted], ["notes"])


def test_formats_and_what_becomes_of_data_survive_the_journal() -> None:
    """What the journal has of them is what was written; entries without them are read as before."""
    store = MemoryStore()
    data = {"notes": DataChange(written=1, wanted=2, loads="a copy")}
    ledger.begin(store, [], "deploy", _set(), _set(notes="2 reads 1"), data=data)
    (entry,) = ledger.entries(store)
    assert entry.after.formats == {"notes": DataFormat(writes=2, reads=1)}
    assert entry.data == data
    table = dict(store.items()[0].content)
    del table["data"], table["after"]["formats"], table["before"]["formats"]
    other = MemoryStore()
    other.create("entry-000001-open", table)
    (older,) = ledger.entries(other)
    assert (older.data, older.after.formats) == ({}, {})
