"""Ways to kill a release, each a function of a seed, and a tally of which step was killed."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from semver import Version

from tests.support.policies import ALWAYS
from tests.support.proxy import Proxy, Rule, then
from tests.support.running import Running
from tests.support.steps import KEYS, PUBLIC, begins, ends, step_of
from tests.support.world import World

END = "end"
BOUNDARIES = (*KEYS, END)
ENOUGH = 9
_FEWEST_WRITES = 24  # writes to the registry, in a release in which one of two services changed
_WRITES = r"^(PUT|POST) "
_TAGS = r"^PUT .*/manifests/(?!sha256:)"
_MARGIN = 0.3  # seconds from a line of output to the act it announces, so that a kill at the line is in time
HOOK = """\
#!/bin/sh
if [ -f kill-{name} ]; then kill -9 "-$(cat kill-{name})"; fi
exit 0
"""


@dataclass(frozen=True, slots=True)
class Kill:
    """When to kill: when a step begins, some seconds later, at a write to the registry, or in the remote's hook.

    `at` is the key of the step, or END for the last line of the last one, or the name of the hook.
    `children`: child processes die too, as when a container ends; otherwise they survive, as after an OOM kill.
    """

    how: Literal["step", "time", "write", "hook"]
    at: str = ""
    share: float = 0.0
    write: int = 0
    before: bool = False
    children: bool = False

    def __str__(self) -> str:
        descriptions = {
            "step": self.at,
            "time": f"{self.share:.2f} of {self.at or 'the run'}",
            "write": f"{'before' if self.before else 'after'} write {self.write}",
            "hook": self.at,
        }
        return f"{descriptions[self.how]}{', with its children' if self.children else ''}"


def drawn(seed: int) -> Kill:
    """Return a seed's kill: a quarter anywhere in the run, a quarter in the public steps, half at writes and in hooks."""
    dice = random.Random(seed)
    children = dice.random() < 0.5
    kind = seed % 4
    if kind == 0:
        return Kill("time", share=dice.random(), children=children)
    if kind == 1:
        return Kill("time", at=dice.choice(PUBLIC), share=dice.random(), children=children)
    if kind == 3 and dice.random() < 0.3:
        return Kill("hook", at=dice.choice(("pre-receive", "post-receive")), children=children)
    return Kill("write", write=dice.randrange(_FEWEST_WRITES), before=dice.random() < 0.5, children=children)


def boundary(at: str) -> str:
    """Return the start of the output line that triggers a kill at a step, or at END."""
    return ends(KEYS[-1]) if at == END else begins(at)


def arrange(kill: Kill, running: Running, world: World, proxy: Proxy, durations: dict[str, float]) -> None:
    """Make the running release die as the kill describes."""

    def act() -> None:
        running.kill(children=kill.children)

    def later() -> None:
        timer = threading.Timer(kill.share * durations.get(kill.at, 0.5), act)
        timer.daemon = True
        timer.start()

    if kill.how == "step":
        pause = threading.Event()
        proxy.rules = [Rule(_TAGS, then(lambda: pause.wait(_MARGIN), before=True), times=ALWAYS)]
        running.when(boundary(kill.at), act)
    elif kill.how == "time" and not kill.at:
        later()
    elif kill.how == "time":
        running.when(begins(kill.at), later)
    elif kill.how == "write":
        proxy.rules = [Rule(_WRITES, then(act, before=kill.before), after=kill.write)]
    else:
        (world.remote / f"kill-{kill.at}").write_text(str(running.process.pid))


def assert_landed(kill: Kill, running: Running, code: int) -> None:
    """Assert that a kill at a step, except at the very last line, came in time; from the claim on, within the step."""
    if kill.how == "step" and kill.at != END:
        assert code == -9, f"{kill}: it came too late"
        assert kill.at not in PUBLIC or running.step == kill.at, f"{kill}: it came in {running.step}"


def disarm(world: World, proxy: Proxy) -> None:
    """Cancel all pending kills."""
    proxy.heal()
    for file in world.remote.glob("kill-*"):
        file.unlink()


def measure(running: Running) -> dict[str, float]:
    """How long a clean run took: each step by its key, and the whole under ""."""
    starts = [(at, key) for at, line in running.times if (key := step_of(line))]
    finishes = [*(at for at, _ in starts[1:]), running.times[-1][0]]
    durations = {key: finish - at for (at, key), finish in zip(starts, finishes, strict=True)}
    return durations | {"": running.times[-1][0] + 0.1}


def forget_an_old_one(world: World, dice: random.Random) -> None:
    """Let the registry lose a release whose images no other release has, and not the newest; none in a new world."""
    records = [world.record(tag) for tag in world.public().git]
    digests = Counter(one["digest"] for record in records for one in record["services"].values())
    newest = max((Version.parse(record["version"]) for record in records), default=None)
    own = [
        record["version"]
        for record in records
        if all(digests[one["digest"]] == 1 for one in record["services"].values())
        and Version.parse(record["version"]) != newest
        and record["version"] not in world.forgotten
    ]
    if own:
        world.forget(dice.choice(sorted(own)))


@dataclass(slots=True)
class Tally:
    """Counts of the kills by step, and of their outcomes.

    `drawn` are the first kills of a seed; `survived` those of them that came after the release had finished.
    """

    kills: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    drawn: int = 0
    survived: int = 0
    claimed: int = 0
    elsewhere: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, kill: Kill, running: Running, *, killed: bool, again: bool = False) -> None:
        """Count a kill that was tried; an `again` kill may find little left to do, and come too late."""
        self.runs += 1
        if killed:
            self.kills[running.step] += 1
            self.ways[kill.how] += 1
        if kill.how == "step":
            self.steps[running.step] += killed
        elif not again:
            self.drawn += 1
            self.survived += not killed

    def assert_landed(self) -> None:
        """Assert that most kills came in time, and that each step from the claim on was hit; late kills prove nothing."""
        assert self.drawn < ENOUGH or self.survived * 3 < self.drawn, f"{self.survived} of {self.drawn} came too late"
        missed = [step for step in PUBLIC if not self.steps[step]]
        assert sum(self.steps.values()) < len(PUBLIC) or not missed, f"nothing was killed in: {', '.join(missed)}"

    def write(self, path: Path) -> None:
        """Write the counts as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "kills": sum(self.kills.values()),
            "by step": dict(self.kills.most_common()),
            "by way": dict(self.ways.most_common()),
            "drawn": self.drawn,
            "drawn and too late": self.survived,
            "version was claimed by then": self.claimed,
            "finished from another clone": self.elsewhere,
            "runs": self.runs,
            "violations": self.violations,
        }
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
