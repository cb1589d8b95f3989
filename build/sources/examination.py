"""What there is to say of a source before a build: declared things, problems, what is sent and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from build.left_out import LeftOut


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """A thing that a source declares: a module, a graph, a role; `reason` says why it will not be ready."""

    kind: str
    name: str
    state: Literal["ready", "failed"] = "ready"
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that will not work; `stops` a build, or is reported by it. Problems of a kind are counted together."""

    kind: str
    text: str
    fix: str = ""
    stops: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """A configured source: its key in [sources], its path, and the images that it goes into.

    `files` and `bytes` are what a build sends of it; 0 for a folder that is only mounted. `unexamined` says what could
    not be looked at, and why.
    """

    key: str
    path: str
    services: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    left_out: tuple[LeftOut, ...] = ()
    declared: tuple[Declared, ...] = ()
    problems: tuple[Problem, ...] = ()
    unexamined: str = ""

    @property
    def failed(self) -> tuple[Declared, ...]:
        """The declared things that will not be ready."""
        return tuple(each for each in self.declared if each.state == "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What the look at a kind of source found."""

    declared: list[Declared] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unexamined: str = ""
