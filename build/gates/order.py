"""The gates of a release, in the order in which its candidates pass them."""

from __future__ import annotations

from collections.abc import Iterable

from build.errors import ReleaseRefused
from build.gates.protocol import Gate
from build.gates.scan import gate as scan
from build.gates.smoke import gate as smoke
from build.typed import suggest

GATES: tuple[Gate, ...] = (
    scan,
    smoke,
)


def named(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set. Raises ReleaseRefused for one that is not the name of a gate."""
    known = [gate.name for gate in GATES]
    for name in names:
        if name not in known:
            raise ReleaseRefused(
                f"--skip {name}: unknown gate{suggest(name, known)}", hint=f"--skip {' | '.join(known)}"
            )
    return frozenset(names)
