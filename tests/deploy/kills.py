"""Ways to kill a deploy or a roll back, each a function of a seed; what is done after it, and a tally of the steps hit.

`Lane.kill_and_finish` holds the rule, whatever the kind of target: the next command ends in one whole set.
"""

from __future__ import annotations

import json
import random
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.deploying import Site
from tests.support.project import REPOSITORY
from tests.support.running import Running
from tests.support.steps import DEPLOY, step_of

END = "end"
BOUNDARIES = (*DEPLOY.keys, END)
ENOUGH = 6
# From the open journal to its end a kill leaves something that the next command must finish or undo.
OPEN = DEPLOY.keys[DEPLOY.keys.index("journal") :]
After = Literal["again", "resume", "rollback", "another release"]
_AFTER: tuple[After, ...] = ("again", "resume", "rollback", "another release")


@dataclass(frozen=True, slots=True)
class Kill:
    """When to kill: as a step begins, or at END; or at a share of the time that a step, or the whole run, takes.

    With `children`, the programs that it has started die too, as when a container ends. `after` is the next command,
    `elsewhere` from another checkout; `again`: that one is killed, too.
    """

    at: str = ""
    share: float | None = None
    children: bool = False
    action: Literal["deploy", "rollback"] = "deploy"
    after: After = "again"
    elsewhere: bool = False
    again: bool = False

    def __str__(self) -> str:
        when = self.at if self.share is None else f"{self.share:.2f} of {self.at or 'the run'}"
        return f"{self.action} killed at {when}{' with its children' if self.children else ''}, then {self.after}"


def tallied(report: str) -> Iterator[Tally]:
    """Counts over all kills of a module, kept in .uc/reports/REPORT.json at its end."""
    counts = Tally()
    yield counts
    counts.write(REPOSITORY / ".uc" / "reports" / f"{report}.json")


def parametrize_seeds(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test that takes a seed with those that the run was asked for."""
    if "seed" in metafunc.fixturenames:
        first, count = metafunc.config.getoption("--seed"), metafunc.config.getoption("--kills")
        metafunc.parametrize("seed", range(first, first + count))


def drawn(seed: int) -> Kill:
    """Return a seed's kill: half of them while containers change, the rest anywhere in the run."""
    dice = random.Random(seed)
    return Kill(
        at=dice.choice(("apply", "apply", "", OPEN[seed % len(OPEN)])),
        share=dice.random(),
        children=dice.random() < 0.5,
        action=dice.choice(("deploy", "deploy", "rollback")),
        after=_AFTER[seed % len(_AFTER)],
        elsewhere=dice.random() < 0.3,
        again=seed % 5 == 4,
    )


def at_boundary(at: str) -> Kill:
    """Return the kill as a step begins, or after the last one."""
    number = BOUNDARIES.index(at)
    return Kill(at=at, children=bool(number % 2), after=_AFTER[number % len(_AFTER)])


def arrange(kill: Kill, running: Running, durations: dict[str, float]) -> None:
    """Make the running task die as the kill describes."""

    def act() -> None:
        running.kill(children=kill.children)

    def later() -> None:
        timer = threading.Timer((kill.share or 0) * durations.get(kill.at, 0.5), act)
        timer.daemon = True
        timer.start()

    if kill.share is None:
        running.when(DEPLOY.ends(DEPLOY.keys[-1]) if kill.at == END else DEPLOY.begins(kill.at), act)
    elif kill.at:
        running.when(DEPLOY.begins(kill.at), later)
    else:
        later()


def measure(running: Running) -> dict[str, float]:
    """How long a clean run took: each step by its key, and the whole under ""."""
    starts = [(at, key) for at, line in running.times if (key := step_of(line))]
    finishes = [*(at for at, _ in starts[1:]), running.times[-1][0]]
    durations = {key: finish - at for (at, key), finish in zip(starts, finishes, strict=True)}
    return durations | {"": running.times[-1][0]}


@dataclass(slots=True)
class Tally:
    """Counts of the kills by the step they came in, and how many of the drawn ones came too late."""

    steps: Counter[str] = field(default_factory=Counter)
    boundaries: set[str] = field(default_factory=set)
    opened: int = 0
    drawn: int = 0
    survived: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, kill: Kill, running: Running, *, killed: bool, opened: bool) -> None:
        """Count a kill that was tried."""
        if killed:
            self.steps[running.step] += 1
            self.opened += opened
        if kill.share is None:
            self.boundaries |= {kill.at} if killed or kill.at == END else set()
        else:
            self.drawn += 1
            self.survived += not killed

    def assert_landed(self) -> None:
        """Assert that most kills came in time, and that some left a deploy open; late kills prove nothing."""
        assert self.drawn < ENOUGH or self.survived * 3 < self.drawn, f"{self.survived} of {self.drawn} came too late"
        assert sum(self.steps.values()) < ENOUGH or self.opened, "no kill left anything to recover from"

    def write(self, path: Path) -> None:
        """Write the counts as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        counts = {
            "kills": sum(self.steps.values()), "by step": dict(self.steps.most_common()), "left open": self.opened,
            "drawn": self.drawn, "drawn and too late": self.survived, "violations": self.violations,
        }  # fmt: skip
        path.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


@dataclass(slots=True)
class Lane(ABC):
    """A site that goes round between three releases; what is asked of its engine depends on the kind of target.

    `durations` are those of the steps of a clean run.
    """

    site: Site
    versions: tuple[str, str, str]
    durations: dict[str, float]
    tally: Tally
    _elsewhere: Site | None = field(default=None, init=False)

    @abstractmethod
    def assert_whole(self, version: str) -> None:
        """Assert that exactly the release's set runs, and that no deploy left anything."""

    @abstractmethod
    def assert_coherent(self, versions: Collection[str]) -> str:
        """Assert that the set which runs is wholly that of one of these releases; return which."""

    @abstractmethod
    def is_open(self) -> bool:
        """Whether the journal has an open entry."""

    @abstractmethod
    def journal(self) -> list[dict[str, Any]]:
        """The entries of the journal, the newest first: their `number`, `state` and `release`."""

    @abstractmethod
    def another(self) -> Site:
        """The same target, as from another machine."""

    def asks_status(self, kill: Kill) -> bool:
        """Whether `./inv status` is held against what the engine says."""
        return True

    def at_rest(self) -> tuple[str, str, str]:
        """The release that runs, whole; the next one, and the one after it."""
        one, two, three = self.versions
        for first, second, third in ((one, two, three), (two, three, one), (three, one, two)):
            try:
                self.assert_whole(first)
            except AssertionError:
                continue
            return first, second, third
        ran = self.site.deploy(one, "--adopt", "--break-lock")
        assert ran.code == 0, ran.text
        return one, two, three

    def guarded(self, kill: Kill) -> None:
        """Kill, finish, and note in the tally what does not hold."""
        try:
            self.kill_and_finish(kill)
        except AssertionError as error:
            self.tally.violations.append(f"{kill}: {str(error).splitlines()[0]}")
            raise

    def kill_and_finish(self, kill: Kill) -> None:
        """Kill a deploy or a roll back, once or twice; the next command ends in one whole set, and nothing is left."""
        before, wanted, third = self.at_rest()
        numbers = self.numbers()
        done = {entry["release"] for entry in self.journal() if entry["state"] == "done"}
        goes_back = kill.action == "rollback" and wanted in done
        words = ("rollback", "--to", wanted) if goes_back else ("deploy", wanted)
        opened = self._killed(self.site, kill, words)
        self._assert_known(self.site, kill, (before, wanted), opened=opened)
        site = self.elsewhere() if kill.elsewhere else self.site
        finished = self.numbers() != numbers and not opened
        command, expected = _next(kill, before, wanted, third, opened=opened, finished=finished)
        if kill.again:
            opened = self._killed(site, Kill("apply", 0.5, children=not kill.children), command)
            self._assert_known(site, kill, (before, wanted, third), opened=opened)
            if command == ("rollback",) and not opened:  # it has undone the deploy; another one would go further back
                command = ("deploy", before)

        ran = site.inv(*command, "--json")

        assert ran.code == 0, f"{kill}: {ran.text}"
        self.assert_whole(expected)
        listed = self.journal()
        assert {entry["state"] for entry in listed} <= {"done", "rolled-back"}, listed
        assert self.numbers() == list(range(listed[0]["number"], listed[-1]["number"] - 1, -1))
        if self.asks_status(kill):
            status = site.status()
            assert (status["release"], status["drift"], status["lock"]) == (expected, [], "")

    def killed_put_back(self, bad: str) -> None:
        """Kill a deploy that has failed while it puts the old set back; a roll back ends what is open."""
        before, *_ = self.at_rest()
        deploy = self.site.start("deploy", bad)
        deploy.when("» put ", deploy.kill)
        ran = deploy.wait()
        assert ran.code == -9, ran.text
        self.tally.add(Kill("apply"), deploy, killed=True, opened=True)
        assert self.is_open()

        ran = self.site.rollback()

        assert ran.code == 0, ran.text
        self.assert_whole(before)
        assert self.journal()[0]["state"] == "rolled-back"

    def numbers(self) -> list[int]:
        """The numbers of the entries of the journal."""
        return [entry["number"] for entry in self.journal()]

    def elsewhere(self) -> Site:
        """The one site that is elsewhere."""
        if self._elsewhere is None:
            self._elsewhere = self.another()
        return self._elsewhere

    def _killed(self, site: Site, kill: Kill, words: tuple[str, ...]) -> bool:
        """Run a command that is killed; return whether it left an open entry."""
        process = site.start(*words)
        arrange(kill, process, self.durations)
        ran = process.wait()
        assert ran.code in {0, -9}, f"{kill}: {ran.text}"
        assert ran.code == -9 or kill.share is not None or kill.at == END, f"{kill}: it came too late"
        opened = self.is_open()
        self.tally.add(kill, process, killed=ran.code == -9, opened=opened)
        return opened

    def _assert_known(self, site: Site, kill: Kill, versions: Collection[str], *, opened: bool) -> None:
        """Assert that one set is whole where nothing is open, and that the status says so, or that something is."""
        release = "" if opened else self.assert_coherent(versions)
        if self.asks_status(kill):
            status = site.status()
            assert (status["state"] == "open") == opened, status
            if opened:
                assert any(version in status["summary"] for version in versions), status
            else:
                assert status["release"] == release, status


def _next(
    kill: Kill, before: str, wanted: str, third: str, *, opened: bool, finished: bool
) -> tuple[tuple[str, ...], str]:
    """The command after a kill, and the release that it must end in."""
    if kill.after == "resume" and opened:
        return ("deploy", "--resume"), wanted
    if kill.after == "rollback" and (opened or finished):
        return ("rollback",) if opened else ("rollback", "--to", before), before
    if kill.after == "another release":
        return ("deploy", third), third
    return ("deploy", wanted), wanted
