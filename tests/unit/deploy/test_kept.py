"""What is kept of data around a deploy: interrupted at every call, it is finished or undone, and never mixed up."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from build.config.deploy import TargetSettings
from build.deploy import in_volume, kept, locking
from build.deploy.formats import Differing
from build.deploy.ledger import DataChange, Entry
from build.deploy.target import DeployedSet, Observed, Spec, Target
from build.errors import DeployRefused, ToolFailed
from build.images.data_formats import DataFormat
from tests.support.stores import MemoryStore

VOLUMES = {"notes": ("api",), "tunes": ("web", "worker")}
USERS: Mapping[str, tuple[str, ...]] = VOLUMES


def _set(number: int, **formats: DataFormat) -> DeployedSet:
    specs = {
        name: Spec(service=name, image=f"r/{name}@sha256:{number}", document={"n": number})
        for names in VOLUMES.values()
        for name in names
    }
    return DeployedSet(versions={"api": f"{number}.0.0"}, records={}, specs=specs, formats=formats)


@dataclass
class _Plain:
    """A target that can't reach its data; `running` maps each container to the spec that it was made from."""

    settings: TargetSettings = field(default_factory=lambda: TargetSettings(kind="swarm"))
    store: MemoryStore = field(default_factory=MemoryStore)
    running: dict[str, Spec] = field(default_factory=dict)

    def observe(self, _expected: Mapping[str, Spec]) -> dict[str, Observed]:
        return {
            name: Observed(spec=spec.hash, image=spec.image, state="running", health="")
            for name, spec in self.running.items()
        }

    def remove(self, name: str) -> None:
        self.running.pop(name, None)


@dataclass
class _Keeping(_Plain):
    """A target whose volumes are folders; the call of number `fails`, counted from one, fails when `when` says."""

    root: Path = Path()
    fails: int = 0
    when: str = "before"
    calls: int = 0

    def volumes(self, _specs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
        return dict(VOLUMES)

    def home(self, _name: str, _spec: Spec) -> str:
        return ""

    def beside(
        self, volume: str, _name: str, _spec: Spec, verb: str, *arguments: str, source: BinaryIO | None = None,
        sink: BinaryIO | None = None, shared: bool = False,
    ) -> str:  # fmt: skip
        assert not (source or sink or (shared and verb != "names"))
        self.calls += 1
        if verb in {"keep", "load"}:
            assert not self.running.keys() & set(VOLUMES[volume]), "somebody may write meanwhile"
        if self.calls == self.fails and self.when != "after":
            if self.when == "during" and verb == "load":
                (self.root / volume / "data").write_text("half")
            raise ToolFailed("killed before it was done")
        archives = self.root / "kept"
        if verb == "names":
            return "".join(f"{path.name}\n" for path in sorted(archives.iterdir()))
        in_volume.VERBS[verb](self.root / volume, archives, *arguments)
        if self.calls == self.fails:
            raise ToolFailed("killed after it acted")
        return ""

    def put(self, text: str) -> None:
        """Write what the new set writes into each volume, and have its containers run."""
        self.running = dict(_set(2).specs)
        for volume in VOLUMES:
            (self.root / volume / "data").write_text(text)

    def has(self) -> dict[str, str]:
        """What is in each volume."""
        return {
            volume: (self.root / volume / "data").read_text() if (self.root / volume / "data").exists() else ""
            for volume in VOLUMES
        }


@pytest.fixture
def target(tmp_path: Path) -> _Keeping:
    """A target with data of `old` in its volumes, and this process has its lock."""
    for name in (*VOLUMES, "kept"):
        (tmp_path / name).mkdir()
    target = _Keeping(root=tmp_path, settings=TargetSettings(kind="compose"))
    target.put("old")
    target.running = dict(_set(1).specs)
    return target


def _entry(data: dict[str, DataChange], number: int = 2) -> Entry:
    return Entry(
        number=number, origin=number, action="deploy", state="open", who="", host="", began="then", before=_set(1),
        after=_set(2), data=data,
    )  # fmt: skip


def _stage(target: _Keeping, data: Mapping[str, DataChange]) -> None:
    """Have archives in the target that replace data by `new`."""
    for volume, change in data.items():
        if change.loads:
            with tarfile.open(target.root / "kept" / kept.new_name(2, volume), "w") as tar:
                member = tarfile.TarInfo("data")
                member.size = 3
                tar.addfile(member, io.BytesIO(b"new"))


def _typed(target: _Plain) -> Target:
    return cast("Target", target)


RAISED = {volume: DataChange(written=1, wanted=2) for volume in VOLUMES}
LOADED = {volume: DataChange(written=1, wanted=1, loads="a backup") for volume in VOLUMES}


@pytest.mark.parametrize("how", ["finished", "undone", "undone twice"])
@pytest.mark.parametrize("when", ["before", "during", "after"])
@pytest.mark.parametrize("fails", range(1, 9))
@pytest.mark.parametrize("data", [RAISED, LOADED], ids=["raised", "loaded"])
def test_cut_short_at_any_call_it_is_finished_or_undone(
    target: _Keeping, data: dict[str, DataChange], fails: int, when: str, how: str
) -> None:
    """All volumes have the data that the set is to start on, or all have that of before; and copies are gone then."""
    entry = _entry(data)
    _stage(target, data)
    target.fails, target.when = fails, when
    with locking.held(target.store, "a test"):
        with contextlib.suppress(ToolFailed):
            kept.carry_out(_typed(target), entry)
        target.fails = 0
        if how == "finished":
            kept.carry_out(_typed(target), entry)
            target.running = dict(_set(2).specs)
            assert kept.carry_out(_typed(target), entry) == set(), "what is done is not done again"
            assert set(target.running) == set(entry.after.specs)
            assert set(target.has().values()) == {"new" if data is LOADED else "old"}
            names = {path.name for path in (target.root / "kept").iterdir()}
            assert names == {kept.kept_name(2, volume) for volume in VOLUMES}
        if fails > 5 or how == "finished":
            target.put("written by the new set")
        if how == "undone twice":
            target.calls, target.fails = 0, 2 + fails % 3
            with contextlib.suppress(ToolFailed):
                kept.put_back(_typed(target), entry, USERS)
            target.fails = 0
        kept.put_back(_typed(target), entry, USERS)
    there = [path.name for path in (target.root / "kept").iterdir()]
    assert there == []
    if how == "finished" or fails <= 5:
        assert set(target.has().values()) == {"old"}


def test_what_the_old_set_writes_after_an_undo_stays(target: _Keeping) -> None:
    """An undo that was killed after the old set has started again does not bring the copy back a second time."""
    entry = _entry(RAISED)
    with locking.held(target.store, "a test"):
        kept.carry_out(_typed(target), entry)
        target.put("written by the new set")
        assert len(kept.put_back(_typed(target), entry, USERS)) == 2
        target.put("written by the old set since")

        assert kept.put_back(_typed(target), entry, USERS) == []

    assert set(target.has().values()) == {"written by the old set since"}


def test_what_was_to_be_loaded_and_is_gone_is_not_guessed(target: _Keeping) -> None:
    """Without the archive the data is left as it is, and the deploy does not go on."""
    with locking.held(target.store, "a test"), pytest.raises(DeployRefused, match="notes"):
        kept.carry_out(_typed(target), _entry(LOADED))
    assert set(target.has().values()) == {"old"}
    assert len(target.running) == 3


def test_nothing_is_stopped_without_the_lock(target: _Keeping) -> None:
    """A process that has lost the lock of the target leaves containers and data alone."""
    with pytest.raises(locking.LockLost):
        kept.carry_out(_typed(target), _entry(RAISED))
    assert len(target.running) == 3
    assert [path.name for path in (target.root / "kept").iterdir()] == []


def test_the_newest_copy_that_can_be_read_comes_back(target: _Keeping) -> None:
    """Of several copies a set gets the newest that it can read, in words that name its deploy; else none."""
    archives = target.root / "kept"
    data = {2: 1, 3: 2, 4: 3}
    history = [_entry({"notes": DataChange(written=was, wanted=was + 1)}, number) for number, was in data.items()]
    for number in (2, 3):
        with tarfile.open(archives / kept.kept_name(number, "notes"), "w") as tar:
            member = tarfile.TarInfo("data")
            member.size = 1
            tar.addfile(member, io.BytesIO(str(number).encode()))
    for wanted, expected, words in (
        (DataFormat(writes=2, reads=1), "3", "before deploy 3"),
        (DataFormat(writes=1, reads=1), "2", "before deploy 2"),
        (DataFormat(writes=3, reads=3), "", "no data at all"),
    ):
        differing = [Differing(volume="notes", written=9, wanted=wanted)]
        (change,) = kept.changes(_typed(target), history, differing, _set(1)).values()
        assert words in change.loads
        there = kept.place(_typed(target), _set(1))
        kept.stage(there, 9, {"notes": change}, kept.stage_older(history, {"notes": wanted}))
        in_volume.load(target.root / "notes", archives, kept.new_name(9, "notes"))
        assert target.has()["notes"] == expected


def test_copies_go_with_the_deploys_that_are_remembered(target: _Keeping) -> None:
    """A sweep keeps the copies of remembered deploys alone, and nothing that was to be loaded."""
    archives = target.root / "kept"
    for number in (1, 2, 3):
        (archives / kept.kept_name(number, "notes")).touch()
        (archives / kept.new_name(number, "notes")).touch()
    kept.sweep(_typed(target), [_entry({}, 2), _entry({}, 3)], _set(1))
    assert {path.name for path in archives.iterdir()} == {kept.kept_name(2, "notes"), kept.kept_name(3, "notes")}


def test_a_target_that_can_t_reach_its_data_says_so() -> None:
    """It is refused by its kind; a deploy that was accepted goes on, and leaves the data as it is."""
    plain = _Plain()
    with pytest.raises(DeployRefused, match="swarm"):
        kept.place(_typed(plain), _set(1))
    differing = [Differing(volume="notes", written=1, wanted=DataFormat(writes=2, reads=1))]
    data = kept.changes(_typed(plain), [], differing, _set(1))
    assert data == {"notes": DataChange(written=1, wanted=2)}
    assert kept.carry_out(_typed(plain), _entry(data)) == set()


@pytest.mark.parametrize(
    ("running", "reads", "refused"), [(1, 1, False), (2, 1, True), (2, 2, False), (None, 1, True)], ids=str
)
def test_without_a_copy_no_old_image_starts_on_data_that_it_can_t_read(
    running: int | None, reads: int, refused: bool
) -> None:
    """It is refused if the new container may have written; not if the old one was never touched, or can read it."""
    before = _set(1, notes=DataFormat(writes=reads, reads=1))
    entry: Any = _entry({"notes": DataChange(written=1, wanted=2)})
    entry = replace(entry, before=before)
    plain = _Plain(running=dict(_set(running).specs) if running else {})
    if refused:
        with pytest.raises(DeployRefused, match="notes may have data of format 2"):
            kept.put_back(_typed(plain), entry, USERS)
    else:
        assert kept.put_back(_typed(plain), entry, USERS) == []
