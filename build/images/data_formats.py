"""Which format of data an image writes into each of its volumes, and back to which one it can read: its labels say so.

    LABEL org.unity-claude.data-format.langgraph-data="3 reads 1"

A volume's number is raised by a change that the image before it can't read. `3` alone writes 3 and reads nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from build.errors import ReleaseRefused

LABEL = "org.unity-claude.data-format."
_VALUE = re.compile(r"([1-9][0-9]{0,8})(?: reads ([1-9][0-9]{0,8}))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFormat:
    """What an image does with the data of a volume: it writes the format `writes`, and reads those from `reads` on."""

    writes: int
    reads: int

    def can_read(self, written: int) -> bool:
        """Whether data of this format can be used, and brought up to what the image writes."""
        return self.reads <= written <= self.writes

    def __str__(self) -> str:
        """As a label says it."""
        return str(self.writes) if self.reads == self.writes else f"{self.writes} reads {self.reads}"


# What an image without a label counts as.
FIRST = DataFormat(writes=1, reads=1)


def of_labels(labels: Mapping[str, str]) -> dict[str, DataFormat]:
    """The formats that an image's labels state, by volume. Raises ReleaseRefused for one that states none."""
    return {
        key.removeprefix(LABEL): _parsed(key, value) for key, value in sorted(labels.items()) if key.startswith(LABEL)
    }


def _parsed(key: str, value: str) -> DataFormat:
    match = _VALUE.fullmatch(value)
    writes, reads = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not match or reads > writes:
        message = f'the label {key}="{value}" is no format of data'
        raise ReleaseRefused(message, hint='in its Dockerfile, such as "3", or "3 reads 1" if it reads 1 and 2 as well')
    return DataFormat(writes=writes, reads=reads)
