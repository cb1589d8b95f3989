"""Counts the layout of a library: `python -m tests.bench.layout [FOLDER]` (default: build)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path

from build import console
from tests.support.layout import Library


def floors(imports: Mapping[str, Set[str]]) -> int:
    """The length of the longest chain of imports, in nodes."""

    @cache
    def height(node: str) -> int:
        return 1 + max((height(other) for other in imports[node]), default=0)

    return max(map(height, imports))


def of_packages(library: Library) -> dict[str, set[str]]:
    """Each package, or top-level module, with those that it imports."""
    imports: dict[str, set[str]] = {}
    for module, imported in library.imports.items():
        top = module.partition(".")[0]
        imports.setdefault(top, set()).update({name.partition(".")[0] for name in imported} - {top})
    return imports


def counts(library: Library) -> dict[str, int]:
    """Counts of modules, packages and lines, and of import edges and levels between modules and packages."""
    modules = {name: imported for name, imported in library.imports.items() if library.modules[name].stem != "__init__"}
    packages = of_packages(library)
    return {
        "modules": len(modules),
        "packages": len(library.packages),
        "lines": sum(len(path.read_text(encoding="utf-8").splitlines()) for path in library.modules.values()),
        "module arrows": sum(map(len, modules.values())),
        "module floors": floors(library.imports),
        "rooms": len(packages) - 1,
        "room arrows": sum(map(len, packages.values())),
        "room floors": floors(packages),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
    console.table(("what", "how many"), [(name, str(number)) for name, number in counts(Library(folder)).items()])
