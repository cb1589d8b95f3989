"""Samples of a rule beyond those that CI tries: `nox -s deep` runs them with `--deep`, every other run leaves them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def deep(*samples: Any) -> Iterator[Any]:
    """Mark values for `pytest.mark.parametrize`; a tuple is one set of several parameters."""
    for sample in samples:
        yield pytest.param(*(sample if isinstance(sample, tuple) else (sample,)), marks=pytest.mark.deep)
