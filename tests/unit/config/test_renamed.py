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
# Where the sample project has the old key of each row and a value for it, in TOML; then the same for the new key.
PLACES = {
    "gates.ignore_file": ("gates", '"waivers.yaml"', "gates", '"waivers.yaml"'),
    "services.*.args.CRITICAL_MODULES": ("services.web.args", '"A, B"', "services.web", '["A", "B"]'),
    "services.*.args.UC_CRITICAL_MODULES": ("services.web.args", '"A,B"', "services.web", '["A", "B"]'),
    "services.*.containers.*.port": (*(containers := ("services.web.containers.web-a", "18990")), *containers),
}


@pytest.fixture(autouse=True)
def _anew() -> None:
    """Each test sees its own warnings: a task prints one only once."""
    reading._warn.cache_clear()


def _old(row: Renamed) -> str:
    table, value, *_ = PLACES[row.path]
    return f"\n[{table}]\n{row.old} = {value}\n"


def _new(row: Renamed) -> str:
    *_, table, value = PLACES[row.path]
    return f"\n[{table}]\n{row.name} = {value}\n"


def _extend(project: Project, file: str, text: str, addition: str) -> None:
    """Write a file with an addition, whose table may be there already: its key goes below that header."""
    header, key = addition.strip().splitlines()
    with_key = text.replace(f"{header}\n", f"{header}\n{key}\n", 1) if f"{header}\n" in text else text + addition
    project.write(file, with_key)


@ROWS
@pytest.mark.parametrize("file", ["versions.toml", "versions.local.toml"])
def test_w3_an_old_name_is_read_with_a_warning(
    project: Project, row: Renamed, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In either file, the old name sets what the new one sets, and the warning names file, key, new name and end."""
    path = project.root / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    _extend(project, file, before, _new(row))
    wanted = project.load()
    assert capsys.readouterr().err == ""

    _extend(project, file, before, _old(row))

    assert project.load() == wanted
    assert project.load() == wanted
    old = f"{PLACES[row.path][0]}.{row.old}"
    new = f"{PLACES[row.path][2]}.{row.name}"
    warning = f"warning: {file}: {old}: renamed to {new}; the old name is read until {row.until}\n"
    assert capsys.readouterr().err == warning


@ROWS
def test_both_names_at_once_are_refused(project: Project, row: Renamed) -> None:
    """A table that has both names says two things: neither is taken."""
    project.write("versions.local.toml", _old(row) + (_new(row) if row.up else _new(row).splitlines()[-1]))

    with pytest.raises(ManifestError, match=rf"{re.escape(row.old)}: is {row.name} now, which is set too"):
        project.load()


@ROWS
def test_the_local_file_overrides_under_either_name(project: Project, row: Renamed) -> None:
    """The new name in versions.toml gives way to the old one in versions.local.toml."""
    other = {'"waivers.yaml"': '"other"', "18990": "18991", '"A, B"': '"C"', '"A,B"': '"C"', '["A", "B"]': '["C"]'}
    table, value, new_table, new_value = PLACES[row.path]
    file = "versions.toml"
    _extend(project, file, (project.root / file).read_text(encoding="utf-8"), _new(row))
    project.write("versions.local.toml", f"[{table}]\n{row.old} = {other[value]}\n")
    overridden = project.load()

    project.write("versions.local.toml", f"[{new_table}]\n{row.name} = {other[new_value]}\n")

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
    rows = [
        " | ".join((_names(row, row.table, row.old, 0), _names(row, row.holder, row.name, 1), row.until))
        for row in RENAMED
    ]

    assert [row for row in rows if f"| {row} |" not in page] == []


def _names(row: Renamed, table: tuple[str, ...], name: str, position: int) -> str:
    names = [".".join((*table, name)), *([row.variables[position]] if row.variables else [])]
    return ", ".join(f"`{one}`" for one in names)


def test_no_row_outlives_its_version() -> None:
    """The changelog has no release at or after which an old name is to be refused: then its row goes."""
    released = re.findall(r"^## \[([0-9.]+)\]", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    newest = max((_numbers(version) for version in released), default=(0, 0, 0))

    assert [row.path for row in RENAMED if _numbers(row.until) <= newest] == []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
