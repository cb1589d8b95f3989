"""Keys of versions.toml that have a new name: the old one is read for a version, with a warning that names the new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from build.errors import ManifestError


@dataclass(frozen=True, slots=True)
class Renamed:
    """A key by its path, in which `*` stands for any name; its new name; the last reader of the old.

    The new key is in the same table, or `up` tables above it. `until` is the first version that refuses the old name.
    `listed`: the old value is a text with commas, the new one a list.
    """

    path: str
    name: str
    until: str
    up: int = 0
    listed: bool = False

    @property
    def old(self) -> str:
        """The old name, without its table."""
        return self.path.rpartition(".")[2]

    @property
    def table(self) -> tuple[str, ...]:
        """The path of the table that holds both names."""
        return tuple(self.path.split(".")[:-1])

    @property
    def holder(self) -> tuple[str, ...]:
        """The path of the table that holds the new name."""
        return self.table[: len(self.table) - self.up]

    @property
    def variables(self) -> tuple[str, str] | None:
        """The variables of the old and the new name; None where no variable can set the key."""
        if len(self.table) != 1 or "*" in self.table:
            return None
        old, new = (f"UC_{self.table[0]}_{name}".upper() for name in (self.old, self.name))
        return old, new


# A row goes when its version is released; docs/pages/renamed.md has the same table.
RENAMED = (
    Renamed("gates.ignore_file", "waivers_file", "0.3.0"),
    Renamed("services.*.args.CRITICAL_MODULES", "critical", "0.3.0", up=1, listed=True),
    Renamed("services.*.args.UC_CRITICAL_MODULES", "critical", "0.3.0", up=1, listed=True),
    Renamed("services.*.containers.*.port", "published", "0.3.0"),
)


def rename_keys(table: dict[str, Any], source: str) -> list[str]:
    """Give the old keys in the table of a file their new names, in place; return a warning for each.

    Raises ManifestError if a table has both names.
    """
    warnings = []
    for row in RENAMED:
        for names, tables in _tables(table, row.table):
            holder, target = tables[-1], tables[-1 - row.up]
            if row.old not in holder:
                continue
            old, new = ".".join((*names, row.old)), ".".join((*names[: len(names) - row.up], row.name))
            if row.name in target:
                raise ManifestError(f"{source}: {old}: is {row.name} now, which is set too", hint=f"remove {old}")
            value = holder.pop(row.old)
            listed = row.listed and isinstance(value, str)
            target[row.name] = [part.strip() for part in value.split(",") if part.strip()] if listed else value
            warnings.append(_warning(f"{source}: {old}", new, row))
    return warnings


def rename_variables(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment with new names for old variables, and a warning for each.

    Raises ManifestError if both names are set.
    """
    current, warnings = dict(environment), []
    for row in RENAMED:
        if row.variables is None or row.variables[0] not in environment:
            continue
        old, new = row.variables
        if new in environment:
            raise ManifestError(f"environment: {old}: is {new} now, which is set too", hint=f"unset {old}")
        current[new] = current.pop(old)
        warnings.append(_warning(f"environment: {old}", new, row))
    return current, warnings


def _tables(
    table: Any, path: tuple[str, ...], names: tuple[str, ...] = (), above: tuple[dict[str, Any], ...] = ()
) -> Iterator[tuple[tuple[str, ...], tuple[dict[str, Any], ...]]]:
    """The path of every table that a path with `*` leads to, with the tables on the way and itself as the last."""
    if not isinstance(table, dict):
        return
    if not path:
        yield names, (*above, table)
        return
    for name in list(table) if path[0] == "*" else [path[0]]:
        yield from _tables(table.get(name), path[1:], (*names, name), (*above, table))


def _warning(place: str, new: str, row: Renamed) -> str:
    return f"{place}: renamed to {new}; the old name is read until {row.until}"
