"""Every variable that the code reads is documented, and every documented one is read."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest

from build import variables as decided
from build.config import manifest
from build.config.deploy import TargetSettings
from build.config.load import ALIASES, load
from build.config.renamed import RENAMED
from tests.support.environment_reads import python, variables
from tests.support.project import REPOSITORY

PAGES = REPOSITORY / "docs/pages"
MANIFEST = load(REPOSITORY, {}, local=False)
TOOLKIT = [
    *(REPOSITORY / "build").rglob("*.py"),
    *(REPOSITORY / name for name in ("tasks.py", "inv.py", "noxfile.py", "inv")),
]
# Read by code, and no setting of anybody's.
INTERNAL = {
    "UC_LOG_DESCRIPTOR": "set by docker/powershell/server/start for the process that it becomes",
    "NO_MKDOCS_2_WARNING": "set by docsite itself, against a banner of Material",
}
TABLED = re.compile(r"`([A-Z][A-Z0-9_]+)`")


def _code(folder: Path) -> list[Path]:
    """Return the source files of a service's folder, without its tests."""
    files = [path for path in folder.rglob("*") if path.suffix in {".py", ".mjs", ".psm1", ".ps1"}]
    return [path for path in files if "tests" not in path.relative_to(folder).parts]


@cache
def _read_by(service: str) -> set[str]:
    """Return what a service reads; the shared Python code runs in services too, and the shipped graphs in theirs."""
    folder = REPOSITORY / MANIFEST.services[service].folder
    shared = _code(REPOSITORY / "docker/python") if "builder" in str(MANIFEST.services[service].contexts) else []
    graphs = [*(REPOSITORY / "agents").rglob("*.py")] if service == "langgraph-api" else []
    return variables([*_code(folder), *shared, *graphs]) - INTERNAL.keys()


def _documented(text: str) -> set[str]:
    """Return the names in the first cells of the tables of variables."""
    tables = re.findall(r"^\| Variable \|.*\n\|[-|]+\n((?:\|.*\n)+)", f"{text}\n", re.M)
    return {name for table in tables for row in table.splitlines() for name in TABLED.findall(row.split(" | ")[0])}


@cache
def _read_by_toolkit() -> set[str]:
    """Return what the toolkit and its checks read; a renamed argument of an image is none of it."""
    return variables(TOOLKIT) - {row.name for row in RENAMED}


@cache
def _keys() -> set[str]:
    """Return the variables that set a key of versions.toml, also under a short or an old name."""
    sections = {field.name: getattr(MANIFEST, field.name) for field in dataclasses.fields(manifest.Manifest)}
    old = {row.variables[0] for row in RENAMED if row.variables} | {row.old for row in RENAMED}
    targets = {f"UC_DEPLOY_TARGETS_PRODUCTION_{field.name}".upper() for field in dataclasses.fields(TargetSettings)}
    return {*ALIASES, *old, *targets} | {
        f"UC_{section}_{key}".upper()
        for section, value in sections.items()
        for key in (value if isinstance(value, dict) else getattr(value, "__dataclass_fields__", {}))
    }


def _page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


COMMON = _documented(_page("services/index.md"))


@pytest.mark.parametrize("service", sorted(MANIFEST.services))
def test_d1_a_service_s_variables_are_on_its_page(service: str) -> None:
    """What a service reads is in the table of its page, or in that of all services; what is in its table is read."""
    read = _read_by(service)
    documented = _documented(_page(f"services/{service}.md"))
    # Read in a file of rules, not in code: `${NAME:-default}`.
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "docker").glob("*/*/triggers.toml"))

    assert read - documented - COMMON == set()
    assert documented - read - set(re.findall(r"\$\{([A-Z_]+)", rules)) == set()


def test_the_common_variables_are_read() -> None:
    """What every service is documented to read is read by some service."""
    assert COMMON - {name for service in MANIFEST.services for name in _read_by(service)} == set()


@pytest.mark.parametrize("service", sorted(MANIFEST.services))
def test_the_stack_sets_nothing_that_is_not_read(service: str) -> None:
    """Every key of `environment` in versions.toml is a variable that the service reads."""
    settings = MANIFEST.services[service]
    containers = [container.environment for container in settings.containers.values()]

    assert {name for table in [settings.environment, *containers] for name in table} - _read_by(service) == set()


def test_d1_the_toolkit_s_variables_are_documented() -> None:
    """The page has a row for each variable that the toolkit reads, or a rule of other tools that names it; and the reverse."""
    text = _page("environment.md")
    own = _documented(text.partition("## What the toolkit reads itself")[2])
    read = _read_by_toolkit()

    assert {name for name in read - own - _keys() if decided.rule_of(name) is None} == set()
    assert own - read - ALIASES.keys() == set()


@pytest.mark.parametrize("page", sorted(PAGES.rglob("*.md")), ids=lambda page: str(page.relative_to(PAGES)))
def test_every_variable_that_a_page_names_exists(page: Path) -> None:
    """A name `UC_…` in a page is read somewhere, or sets a key of versions.toml."""
    names = set(re.findall(r"`(UC_[A-Z_]+)[=`]", page.read_text(encoding="utf-8")))
    every = {name for service in MANIFEST.services for name in _read_by(service)} | _read_by_toolkit() | INTERNAL.keys()

    assert names - every - _keys() - {"UC_SECTION_KEY"} == set()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("os.environ.get('A_B', '')", {"A_B"}),
        ("environment['CI'] and 'NO_COLOR' not in os.environ", {"CI", "NO_COLOR"}),
        ("_number(env, 'UC_X', 3)", {"UC_X"}),
        ("os.environ['A_B'] = 'C_D'", set()),
        ("for name in ('A_B', 'C'): env.get(name)", {"A_B"}),
        ("text = '${A_B:-default}'", {"A_B"}),
        ("settings.get('A_B')", set()),
    ],
    ids=["get", "subscript and in", "function", "write", "loop", "filled in by Compose", "another mapping"],
)  # fmt: skip
def test_a_read_is_seen_in_every_form(code: str, names: set[str]) -> None:
    """Each way in which the code reads a variable is recognised, and a write is not."""
    assert set(python(code)) == names
