"""A generic runner of ordered steps, independent of Docker, git and services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from build import console

S = TypeVar("S")


class Skip(Exception):
    """Raised by a step that has nothing to do, with the reason; not a failure."""


class Stop(Exception):
    """Raised by a step after which nothing is left to do, with the reason; not a failure."""


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """One step: a stable identifier, a title for people, and a function from state to state.

    `mark` is how the step that led to a state ended: ok, warn or fail; a step that raises has failed anyhow.
    """

    key: str
    title: str
    run: Callable[[S], S]
    mark: Callable[[S], str] = lambda _state: "ok"


def execute(steps: Sequence[Step[S]], state: S) -> S:
    """Run the steps in order and return the last state; Stop ends them early. Raises what a failing step raises."""
    for step in steps:
        with console.step(step.title) as mark:
            try:
                state = step.run(state)
                mark.kind = step.mark(state)
            except Skip as reason:
                mark.kind = "skip"
                console.note(f"skipped: {reason}")
            except Stop as reason:
                console.note(str(reason))
                return state
    return state
