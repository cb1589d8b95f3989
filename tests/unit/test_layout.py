"""The layout rules, on every module at any depth of build/; each is also shown to fail on a small library."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.layout import (
    Library,
    circles,
    importing,
    opposing,
    overlong,
    printing,
    undocumented,
    unmapped,
)
from tests.support.project import REPOSITORY
from tests.support.source import nodes

LIBRARY = Library(REPOSITORY / "build")
MAP = '"""A library.\n\n    low/    what is below\n    high/   what is above\n"""\n'


def test_the_map_lists_the_packages() -> None:
    """Every package has a line in build/__init__.py, and every line a package."""
    assert unmapped(LIBRARY) == []


def test_a_package_imports_only_packages_above_it_in_the_map() -> None:
    """A package imports only packages above it; top-level modules import none of ours."""
    assert opposing(LIBRARY) == []


def test_no_two_modules_import_each_other() -> None:
    """There is no import cycle of any length, within or across packages."""
    assert circles(LIBRARY) == []


def test_nothing_in_the_library_imports_a_front_end() -> None:
    """Invoke and Nox call the library, never the reverse; the command line alone is made of Invoke's parts."""
    assert [module for module in importing(LIBRARY, "invoke", "nox") if not module.startswith("program.")] == []


def test_only_the_console_prints() -> None:
    """Only build/console.py prints, and what answers a Tab, which loads nothing; library code returns."""
    assert printing(LIBRARY) == ["console", "program.complete"]


def test_no_module_is_longer_than_300_lines() -> None:
    """A longer file is split, or gives a reason in its docstring."""
    assert overlong(LIBRARY) == []
    assert len((REPOSITORY / "noxfile.py").read_text(encoding="utf-8").splitlines()) <= 300


def test_everything_public_has_a_docstring() -> None:
    """Every public module, function, class and method has a docstring."""
    assert undocumented(LIBRARY) == []


Rule = Callable[[Library], list[str]]
BROKEN: dict[str, tuple[Rule, dict[str, str], list[str]]] = {
    "a package without a line": (unmapped, {"extra/a.py": ""}, ["extra is not in the map"]),
    "an import upward": (opposing, {"low/a.py": "from sample.high import b"}, ["low.a imports high.b"]),
    "one in a nested package, inside a function": (
        opposing, {"low/deep/a.py": "def f():\n    import sample.high.b"}, ["low.deep.a imports high.b"],
    ),
    "one from outside the packages": (opposing, {"root.py": "from sample.low.z import f"}, ["root imports low.z"]),
    "a circle of two neighbours": (
        circles, {"low/a.py": "from sample.low import b", "low/b.py": "from sample.low.a import f"},
        ["low.a → low.b → low.a"],
    ),
    "a circle through a nested package": (
        circles,
        {"low/a.py": "from sample.low.b.c import f", "low/b/c.py": "from sample import low\nimport sample.low.d",
         "low/d.py": "def f():\n    from sample.low import a"},
        ["low.a → low.b.c → low.d → low.a"],
    ),
    "a front end": (
        lambda library: importing(library, "invoke"), {"high/x/a.py": "from invoke.tasks import task"}, ["high.x.a"],
    ),
    "a print": (printing, {"low/x/a.py": "print(1)"}, ["low.x.a"]),
    "a write to a stream": (printing, {"low/a.py": "import sys\nsys.stderr.write('x')"}, ["low.a"]),
    "a long module": (overlong, {"low/x/a.py": "x = 1\n" * 301}, ["low.x.a"]),
    "a bare function": (undocumented, {"low/a.py": '"""A."""\ndef f(): pass'}, ["low.a.f"]),
    "a bare method": (
        undocumented, {"low/x/a.py": '"""A."""\nclass C:\n    """C."""\n    def m(self): pass'}, ["low.x.a.C.m"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_sees_what_breaks_it(case: str, tmp_path: Path) -> None:
    """Each rule detects its violation, also in a nested package."""
    rule, files, broken = BROKEN[case]
    root = tmp_path / "sample"
    for name, text in {"__init__.py": MAP, "high/b.py": '"""B."""\n', "low/z.py": '"""Z."""\n', **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    violations = rule(Library(root))

    assert [_rotated(line) for line in violations] == [_rotated(line) for line in broken]


def _rotated(line: str) -> str:
    """Return a cycle starting from its alphabetically first module; any other line unchanged."""
    modules = line.split(" → ")
    if len(modules) == 1:
        return line
    ring = modules[:-1]
    start = ring.index(min(ring))
    ring = ring[start:] + ring[:start]
    return " → ".join([ring[0], *min(ring[1:], ring[:0:-1]), ring[0]])


def test_the_workspace_alone_names_what_is_written() -> None:
    """Only config.workspace appends names to the workspace's folder."""
    offenders = [
        module
        for module, tree in LIBRARY.trees.items()
        if module != "config.workspace"
        and any(isinstance(node, ast.BinOp) and "workspace.root /" in ast.unparse(node) for node in nodes(tree))
    ]

    assert offenders == []


def test_no_suite_imports_from_another() -> None:
    """Shared test code is in tests/support/; nothing is imported from a test or across suites."""
    tests = REPOSITORY / "tests"
    offenders = []
    for path in tests.rglob("*.py"):
        suite = path.relative_to(tests).parts[0]
        for imported in re.findall(r"^\s*(?:from|import) tests\.(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            if imported.split(".")[0] not in {"support", suite} or ".test_" in f".{imported}":
                offenders.append(f"{path.relative_to(tests)} imports {imported}")

    assert offenders == []


@pytest.mark.parametrize("package", sorted(LIBRARY.packages))
def test_a_package_s_map_names_its_modules(package: str) -> None:
    """A package's docstring names every module in it."""
    named = set(re.findall(r"\w+", ast.get_docstring(LIBRARY.trees[package]) or ""))
    modules = {name.split(".")[1] for name in LIBRARY.modules if name.startswith(f"{package}.")}

    assert modules - named == set()
