"""The journal: what it says runs, whatever ended the process that wrote it, and where a roll back goes."""

from __future__ import annotations

import pytest

from build.deploy import ledger
from build.deploy.ledger import Action, Entry, State
from build.deploy.target import DeployedSet, Spec
from build.errors import DeployRefused
from tests.support.stores import MemoryStore


def _set(release: str, **documents: int) -> DeployedSet:
    specs = {
        name: Spec(service=name, image=f"r/{name}@sha256:{release}", document={"value": value})
        for name, value in (documents or {"web": 1}).items()
    }
    return DeployedSet(versions=dict.fromkeys(specs, release), records={"line": release}, specs=specs)


class _Journal:
    """A journal that is written as deploys write it."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    @property
    def entries(self) -> list[Entry]:
        return ledger.entries(self.store)

    def open(self, after: DeployedSet, action: Action = "deploy", *, back_to: int = 0) -> Entry:
        history = self.entries
        return ledger.begin(self.store, history, action, ledger.current(history), after, back_to=back_to)

    def add(self, after: DeployedSet, state: State = "done") -> None:
        ledger.close(self.store, self.open(after), state)

    def back(self, wanted: str = "") -> str:
        entry = ledger.earlier(self.entries, wanted)
        ledger.close(self.store, self.open(entry.after, "rollback", back_to=entry.origin), "done")
        return entry.after.release


@pytest.fixture
def journal() -> _Journal:
    """An empty journal."""
    return _Journal()


def test_an_entry_comes_back_as_it_was_written(journal: _Journal) -> None:
    """Sets, their specs and secrets, and everything else of an entry survive being kept as JSON."""
    spec = Spec(
        service="api",
        image="r/api@sha256:1",
        document={"a": [1, {"b": None}]},
        depends_on=("web",),
        secrets={"key": "x"},
    )
    wanted = DeployedSet(versions={"api": "1.0.0"}, records={"line": "0" * 64}, specs={"api": spec})

    entry = journal.open(wanted)

    assert journal.entries == [entry]
    assert journal.entries[0].after.specs["api"].hash == spec.hash


@pytest.mark.parametrize(
    ("states", "release"),
    [
        ([], None),
        (["done"], "1"),
        (["done", "done"], "2"),
        (["done", "rolled-back"], "1"),
        (["done", "done", "rolled-back"], "2"),
        (["failed"], None),
        (["failed", "done"], "2"),
    ],
)
def test_the_set_in_force_is_that_of_the_last_closed_entry(
    journal: _Journal, states: list[State], release: str | None
) -> None:
    """A deploy that was done leaves its own set, one that was put back the set before, a failed first one none."""
    for number, state in enumerate(states, 1):
        journal.add(_set(str(number)), state)

    current = ledger.current(journal.entries)

    assert (current.release if current else None) == release


def test_what_is_open_changes_nothing_of_what_is_in_force(journal: _Journal) -> None:
    """While an entry is open, the set before it is in force, and the entry says both."""
    journal.add(_set("1"))
    opened = journal.open(_set("2"))

    assert ledger.unfinished(journal.entries) == opened
    assert ledger.current(journal.entries) == _set("1") == opened.before


def test_a_kill_between_the_two_writes_of_a_close_leaves_it_closed(journal: _Journal) -> None:
    """An entry is closed as soon as its end is written; what is left of its beginning does not open it again."""
    entry = journal.open(_set("1"))
    opened = journal.store.items()[0]
    ledger.close(journal.store, entry, "done")
    journal.store.create(opened.name, opened.content)

    assert [each.state for each in journal.entries] == ["done"]
    assert ledger.unfinished(journal.entries) is None


def test_what_a_kill_left_of_a_closed_entry_goes(journal: _Journal) -> None:
    """An entry that is open beside its closed one is removed; what is really open, and what is closed, stay."""
    opened = journal.open(_set("1.0.0"))
    ledger.close(journal.store, opened, "done")
    closed = journal.store.items()
    assert journal.store.create("entry-000001-open", closed[0].content)
    journal.open(_set("1.1.0"))

    known = ledger.tidied(journal.store)

    assert [(entry.number, entry.state) for entry in known] == [(1, "done"), (2, "open")]
    assert sorted(item.name for item in journal.store.items()) == ["entry-000001-closed", "entry-000002-open"]


def test_an_entry_is_closed_once(journal: _Journal) -> None:
    """Whoever closes an entry that another process has closed is refused, and its end stays as it was."""
    entry = journal.open(_set("1"))
    ledger.close(journal.store, entry, "done")

    with pytest.raises(DeployRefused, match="closed meanwhile"):
        ledger.close(journal.store, entry, "failed")
    assert [each.state for each in journal.entries] == ["done"]


def test_two_processes_can_t_begin_the_same_entry(journal: _Journal) -> None:
    """The second is refused; the first one's entry stays."""
    before = journal.entries
    first = journal.open(_set("1"))

    with pytest.raises(DeployRefused, match="begun meanwhile"):
        ledger.begin(journal.store, before, "deploy", None, _set("2"))
    assert journal.entries == [first]


def test_a_roll_back_goes_to_the_last_good_set_and_further_each_time(journal: _Journal) -> None:
    """A roll back after a roll back goes further back, never forward to what was given up."""
    for release in ("1", "2", "3"):
        journal.add(_set(release))

    assert [journal.back(), journal.back()] == ["2", "1"]
    with pytest.raises(DeployRefused, match="no earlier set"):
        journal.back()


def test_a_roll_back_passes_over_what_was_never_in_force(journal: _Journal) -> None:
    """A deploy that was put back is no place to go back to."""
    journal.add(_set("1"))
    journal.add(_set("2"), "rolled-back")
    journal.add(_set("3"))

    assert journal.back() == "1"


def test_a_deploy_after_a_roll_back_can_be_rolled_back(journal: _Journal) -> None:
    """The set before it is the one that the roll back brought."""
    for release in ("1", "2"):
        journal.add(_set(release))
    journal.back()
    journal.add(_set("3"))

    assert journal.back() == "1"


def test_a_roll_back_passes_over_a_deploy_of_the_same_set(journal: _Journal) -> None:
    """A second deploy of what runs already is not an earlier set; one with other settings is."""
    journal.add(_set("1"))
    journal.add(_set("2"))
    journal.add(_set("2"))
    assert journal.back() == "1"

    journal.add(_set("2"))
    journal.add(_set("2", web=7))
    assert ledger.earlier(journal.entries).after == _set("2")


@pytest.mark.parametrize(("wanted", "release"), [("1", "1"), ("2.0", "2.0"), ("3", "2.1")])
def test_a_roll_back_can_name_a_release_or_a_number(journal: _Journal, wanted: str, release: str) -> None:
    """A release that was in force, or the number of a deploy."""
    for each in ("1", "2.0", "2.1", "2.2"):
        journal.add(_set(each))

    assert ledger.earlier(journal.entries, wanted).after.release == release


def test_a_release_that_never_ran_here_is_nothing_to_go_back_to(journal: _Journal) -> None:
    """It is refused, and the message says how to bring it."""
    journal.add(_set("1.0"))
    journal.add(_set("2.0"), "rolled-back")

    with pytest.raises(DeployRefused, match=r"no deploy of 2\.0 ") as refused:
        ledger.earlier(journal.entries, "2.0")
    assert "./inv deploy VERSION" in refused.value.hint


def test_the_history_is_cut_and_numbers_go_on(journal: _Journal) -> None:
    """Old entries go; the number of the next one does not depend on how many are left."""
    for release in ("1", "2", "3", "4"):
        journal.add(_set(release))

    kept = ledger.sweep(journal.store, journal.entries, 2)

    assert [entry.number for entry in kept] == [3, 4] == [entry.number for entry in journal.entries]
    assert len(journal.store.items()) == 2
    assert journal.open(_set("5")).number == 5


def test_another_version_s_journal_is_refused(journal: _Journal) -> None:
    """An entry of another schema is not guessed at."""
    journal.store.create("entry-000001-closed", {"schema": 99})

    with pytest.raises(DeployRefused, match="schema 99"):
        _ = journal.entries


def test_an_entry_that_can_t_be_read_is_named(journal: _Journal) -> None:
    """Something that is not an entry under an entry's name is a refusal, not a traceback."""
    journal.store.create("entry-000001-closed", {"schema": 1, "number": "one"})

    with pytest.raises(DeployRefused, match="can't be read"):
        _ = journal.entries


def test_a_reason_in_one_line_names_something() -> None:
    """A line that only announces others gets the first of them."""
    assert ledger.headline("2 of 9 checks failed:\nweb: health: status 500\nweb: smoke: timeout") == (
        "2 of 9 checks failed: web: health: status 500"
    )
    assert ledger.headline("web ended: exit 3\nno such table") == "web ended: exit 3"
    assert ledger.headline("") == ""
