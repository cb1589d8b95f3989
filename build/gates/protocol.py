"""What a gate is: a module build/gates/NAME/gate.py with these names in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from build.config.manifest import Manifest
from build.diagnosis import Diagnosis
from build.gates.verdict import GateVerdict
from build.images.image import Image

Released = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """Something that a gate needs of the machine.

    `examine` makes the doctor's row `name`; a BuildError from it is a failing row. `require` is called before a release
    builds anything, and raises BuildError when the gate could not run.
    """

    name: str
    examine: Callable[[Manifest], Diagnosis]
    require: Callable[[Manifest], object]


class Gate(Protocol):
    """A check that can refuse a release. A module implements it; build/gates/order.py lists them all.

    `name` is the gate's key in the release record and its `--skip NAME`, `title` is its step of a release.
    """

    name: str
    title: str
    dependencies: tuple[Dependency, ...]

    def run(self, manifest: Manifest, images: Mapping[str, Image], released: Released, /) -> GateVerdict:
        """Judge the candidates `images` (service → image in the registry); return what the release records.

        `released` looks up the released images (service → name@digest) of the services that are not candidates.
        Raises a BuildError when the gate refuses, and another one when it could not run.
        """
