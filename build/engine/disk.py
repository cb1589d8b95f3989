"""Free disk space where images are built and stored, and how much of it building and releasing need."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

# The doctor and a release share the bound: a release must not start on a machine that the doctor fails.
FAIL_GIGABYTES, WARN_GIGABYTES = 3, 10
HINT = "docker system df; docker builder prune --filter until=72h"


def free(places: Iterable[Path]) -> dict[Path, float]:
    """Free space in gigabytes (2^30) at each place; one that does not exist counts as its nearest parent."""
    existing = [next(path for path in (place, *place.parents) if path.exists()) for place in places]
    return {path: shutil.disk_usage(path).free / 2**30 for path in existing}


def state(space: Mapping[Path, float]) -> Literal["ok", "warn", "fail"]:
    """Whether the fullest of the places has enough space: "fail" below FAIL_GIGABYTES, "warn" below WARN_GIGABYTES."""
    least = min(space.values())
    return "fail" if least < FAIL_GIGABYTES else "warn" if least < WARN_GIGABYTES else "ok"


def describe(space: Mapping[Path, float]) -> str:
    """The free space at each place as text: "7.5 GB free at /srv, …"."""
    return ", ".join(f"{size:.1f} GB free at {path}" for path, size in space.items())
