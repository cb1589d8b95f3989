"""A store of deploys in this process: the protocol's promises, for rules that need no target."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from build.deploy.target import Item


class MemoryStore:
    """Objects by name; each has an identity of its own, and a content that nobody shares."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._items: dict[str, tuple[str, str]] = {}

    def items(self) -> list[Item]:
        """Everything that is kept."""
        return [
            Item(name=name, identity=identity, content=json.loads(text))
            for name, (identity, text) in self._items.items()
        ]

    def create(self, name: str, content: Mapping[str, Any], *, exclusive: bool = False) -> bool:
        """Keep an object; False if there is one of this name."""
        if name in self._items:
            return False
        self._items[name] = str(next(self._numbers)), json.dumps(content)
        return True

    def remove(self, item: Item) -> None:
        """Remove this very item."""
        if self._items.get(item.name, ("", ""))[0] == item.identity:
            del self._items[item.name]
