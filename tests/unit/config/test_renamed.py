"""Old names of keys: read for a version, in both files and as variables, with a warning that says the new name."""

from __future__ import annotations

import re
import tomllib

import pytest

from build.config import load as reading
from build.config.renamed import RENAMED, Renamed, rename_keys
from build.errors import ManifestError
from tests.support.project import REPOSITORY, Project

ROWS = pytest.mark.parametrize("row", RENAMED, ids=lambda row: row.path)
# A value for the old key of each row, in TOML, and where the sample project has it.
PLACES = {
    "gates.ignore_file": ("gates", '"waivers.yaml"'),
    "services.*.args.CRITICAL_MODULES": ("services.web.args", '"A,B"'),
    "services.*.containers.*.port": ("services.web.containers.web-a", "18990"),
}


@pytest.fixture(autouse=True)
def _anew() -> None:
    """Each test sees its own warnings: a task prints one only once."""
    reading._warn.cache_clear()


def _toml(row: Renamed, name: str) -> str:
    table, value = PLACES[row.path]
    return f"\n[{table}]\n{name} = {value}\n"


@ROWS
@pytest.mark.parametrize("file", ["versions.toml", "versions.local.toml"])
def test_w3_an_old_name_is_read_with_a_warning(
    project: Project, row: Renamed, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In either file, the old name sets what the new one sets, and the warning names file, key, new name and end."""
    path = project.root / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    project.write(file, before + _toml(row, row.name))
    wanted = project.load()
    assert capsys.readouterr().err == ""

    project.write(file, before + _toml(row, row.old))

    assert project.load() == wanted
    assert project.load() == wanted
    old = f"{PLACES[row.path][0]}.{row.old}"
    new = f"{PLACES[row.path][0]}.{row.name}"
    warning = f"warning: {file}: {old}: renamed to {new}; the old name is read until {row.until}\n"
    assert capsys.readouterr().err == warning


@ROWS
def test_both_names_at_once_are_refused(project: Project, row: Renamed) -> None:
    """A table that has both names says two things: neither is taken."""
    project.append(_toml(row, row.name) + f"{row.old} = {PLACES[row.path][1]}\n")

    with pytest.raises(ManifestError, match=rf"{re.escape(row.old)}: is {row.name} now, which is set too"):
        project.load()


@ROWS
def test_the_local_file_overrides_under_either_name(project: Project, row: Renamed) -> None:
    """The new name in versions.toml gives way to the old one in versions.local.toml."""
    value = "18991" if row.name == "published" else '"other"'
    project.append(_toml(row, row.name))
    project.write("versions.local.toml", f"[{PLACES[row.path][0]}]\n{row.old} = {value}\n")
    overridden = project.load()

    project.write("versions.local.toml", f"[{PLACES[row.path][0]}]\n{row.name} = {value}\n")

    assert project.load() == overridden


@pytest.mark.parametrize("row", [row for row in RENAMED if row.variables], ids=lambda row: row.path)
def test_an_old_variable_is_read_with_a_warning(
    project: Project, row: Renamed, capsys: pytest.CaptureFixture[str]
) -> None:
    """A UC_ variable of the old name sets the key; with the new one beside it, it is refused."""
    assert row.variables
    old, new = row.variables
    wanted = project.load(**{new: "x"})

    assert project.load(**{old: "x"}) == wanted
    key = f"{row.table[0]}.{row.name}"
    assert f"warning: environment: {old}: renamed to {new}; the old name is read until" in capsys.readouterr().err
    assert getattr(getattr(wanted, row.table[0]), key.rpartition(".")[2]) == "x"
    with pytest.raises(ManifestError, match=rf"{old}: is {new} now, which is set too"):
        project.load(**{old: "x", new: "y"})


def test_every_row_has_a_test() -> None:
    """A new row has a place here, so that each is tried."""
    assert set(PLACES) == {row.path for row in RENAMED}


def test_the_shipped_file_has_no_old_name() -> None:
    """What ships does not warn."""
    table = tomllib.loads((REPOSITORY / "versions.toml").read_text(encoding="utf-8"))

    assert rename_keys(table, "versions.toml") == []


def test_the_page_on_upgrading_has_each_row() -> None:
    """The documentation lists every old name with its new one and its end."""
    page = (REPOSITORY / "docs/pages/renamed.md").read_text(encoding="utf-8")
    rows = [" | ".join((_names(row, row.old, 0), _names(row, row.name, 1), row.until)) for row in RENAMED]

    assert [row for row in rows if f"| {row} |" not in page] == []


def _names(row: Renamed, name: str, position: int) -> str:
    names = [".".join((*row.table, name)), *([row.variables[position]] if row.variables else [])]
    return ", ".join(f"`{one}`" for one in names)


def test_no_row_outlives_its_version() -> None:
    """The changelog has no release at or after which an old name is to be refused: then its row goes."""
    released = re.findall(r"^## \[([0-9.]+)\]", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    newest = max((_numbers(version) for version in released), default=(0, 0, 0))

    assert [row.path for row in RENAMED if _numbers(row.until) <= newest] == []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
