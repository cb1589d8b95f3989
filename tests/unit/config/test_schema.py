"""The JSON Schemas of versions.toml: current, and they take what the reader takes."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from build.config import load, manifest, reference, schema
from build.config.renamed import RENAMED, rename_keys
from build.errors import ManifestError
from tests.support.project import REPOSITORY
from tests.unit.config.sample import SAMPLE

SHIPPED = tomllib.loads((REPOSITORY / "versions.toml").read_text(encoding="utf-8"))
DOCUMENT = schema.document(REPOSITORY)
PARTIAL = schema.document(REPOSITORY, partial=True)
Path_ = tuple[str | int, ...]

# What only the reader refuses, by its message: the reason, and the example of a key with such a value.
ONLY_THE_READER: dict[str, tuple[str, Path_, Any]] = {
    "unknown name '": ("it refers to another part of the file", ("services", "web", "secrets"), ["beta"]),
    " is not a stage:NAME or source:NAME of this file": (
        "it refers to another part of the file", ("services", "web", "contexts"), {"base": "stage:other"},
    ),
    " is already the port of ": (
        "two parts of the file have the same port", ("services", "web", "containers"),
        {"web-a": {"published": 8001}, "web-b": {"published": 8001}},
    ),
    "Dockerfile is missing": ("it depends on the disk", ("services", "web", "folder"), "elsewhere"),
    "no such folder: ": ("it depends on the disk", ("sources", "watched"), "elsewhere"),
    ": it keeps data in a volume, ": (
        "it depends on another part of the file", ("deploy", "targets", "production", "replicas"), {"web-a": 2},
    ),
    ": context is set too": (
        "two keys exclude each other", ("deploy", "targets", "production", "context"), "production",
    ),
    ": belongs to kind = ": (
        "it depends on another key", ("deploy", "targets", "production", "namespace"), "production",
    ),
    " is the port of ": (
        "two parts of the file have the same port", ("services", "web", "containers"),
        {"web-a": {"published": 8001}, "web-b": {"published": 9001}},
    ),
    " is set too: a release is signed with a key ": (
        "two keys exclude each other", ("signing", "identity"), "release@acme.example",
    ),
    ": missing, and signing.": ("it depends on another key", ("signing", "password_file"), ""),
    "no such file: ": ("it depends on the disk", ("registry", "ca_file"), "elsewhere.pem"),
}  # fmt: skip
TYPES: tuple[Any, ...] = ("x", 1, 1.5, True, ["x"], {"x": "y"})
VALUES: dict[type, tuple[Any, ...]] = {
    str: (
        "", "Not A Name", "release", "a.example:70000", "stage:", "2026-02-29", "20280229", "01.2.3", "1.5G", "/a b",
    ),
    int: (-1, 0, 65535, 65536, 99),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the sample names."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "docker/web").mkdir(parents=True)
    (folder / "docker/web/Dockerfile").touch()
    (folder / "watched").mkdir()
    for name in ("ca.pem", "release.pub", "old.pub"):
        (folder / name).touch()
    return folder


def _refusals(table: dict[str, Any], root: Path) -> list[str]:
    """What the reader says against a table, line by line."""
    try:
        rename_keys(table, "versions.toml")
        load.checked(table, root)
    except ManifestError as error:
        return str(error).splitlines()
    return []


def _validator(document: dict[str, Any]) -> Any:
    return jsonschema.Draft7Validator(document, format_checker=jsonschema.FormatChecker())


VALIDATOR = _validator(DOCUMENT)


def _schema_at(path: Path_) -> dict[str, Any]:
    """The part of the schema that a value at a path has to pass."""
    part: dict[str, Any] = DOCUMENT
    for name in path:
        part = (
            part["items"]
            if isinstance(name, int)
            else part.get("properties", {}).get(name) or part.get("additionalProperties", {})
        )
    return part


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every key and item below a value, parents first."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in below:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _changed(table: dict[str, Any], path: Path_) -> tuple[dict[str, Any], Any]:
    """A copy of a table, and the part of it at a path; only what leads to that part is copied."""
    result = copy.copy(table)
    part: Any = result
    for name in path:
        part[name] = copy.copy(part[name])
        part = part[name]
    return result, part


def _mutations(path: Path_) -> Iterator[tuple[dict[str, Any], Any]]:
    """The sample with the key or item at a path removed, named otherwise or changed, and what holds it then."""
    table, holder = _changed(SAMPLE, path[:-1])
    value = holder.pop(path[-1])
    yield table, holder
    if isinstance(holder, dict):
        yield _with(path[:-1], "Not A Name", value)
    for item in (*TYPES, *VALUES.get(type(value), ())):
        yield _with(path[:-1], path[-1], item)


def _with(path: Path_, key: str | int, value: Any) -> tuple[dict[str, Any], Any]:
    """The sample with another value of a key of the part at a path, and that part."""
    table, part = _changed(SAMPLE, path)
    part[key] = value
    return table, part


def _disagreements(table: dict[str, Any], root: Path, *, valid: bool) -> list[str]:
    """What the reader says against a table that the schema takes, but for what it alone can see; and the reverse."""
    refusals = _refusals(table, root)
    if not valid:
        return [] if refusals else ["the schema alone refuses it"]
    return [line for line in refusals if not any(message in line for message in ONLY_THE_READER)]


def test_what_one_takes_the_other_takes(root: Path) -> None:
    """Whatever becomes of a key, its removal, another name, type or value, reader and schema judge it alike."""
    wrong = {}
    for path in _paths(SAMPLE):
        # A schema judges each part by itself: what the change is not in stays valid.
        validator = _validator(_schema_at(path[:-1]))
        for number, (table, holder) in enumerate(_mutations(path)):
            if reasons := _disagreements(table, root, valid=validator.is_valid(holder)):
                wrong[f"{'.'.join(map(str, path))}, mutation {number}: {holder}"] = reasons

    assert _refusals(SAMPLE, root) == []
    assert VALIDATOR.is_valid(SAMPLE)
    assert wrong == {}


@pytest.mark.parametrize("message", ONLY_THE_READER)
def test_only_the_reader_refuses_what_a_schema_can_t_see(message: str, root: Path) -> None:
    """Each exception is one: the schema takes its example, and the reader alone says what is wrong."""
    _, path, value = ONLY_THE_READER[message]
    table, _ = _with(path[:-1], path[-1], value)

    assert VALIDATOR.is_valid(table)
    assert [line for line in _refusals(table, root) if message not in line] == []
    assert _refusals(table, root) != []


def test_the_sample_has_every_key() -> None:
    """No key of the types is left out of the comparison."""
    named = {path[-1] for path in _paths(SAMPLE)}

    assert {key for kind in reference.HEADINGS for key in manifest.keys(kind)} - named == set()


@pytest.mark.parametrize("section", SHIPPED)
def test_the_shipped_file_without_a_section(section: str) -> None:
    """The committed file is valid, and without a section both judge it alike."""
    without = {key: value for key, value in SHIPPED.items() if key != section}

    jsonschema.Draft7Validator.check_schema(DOCUMENT)
    assert VALIDATOR.is_valid(SHIPPED)
    assert _disagreements(without, REPOSITORY, valid=VALIDATOR.is_valid(without)) == []


def test_a_whole_number_with_a_point_is_one_to_a_schema_alone(root: Path) -> None:
    """The one known difference: JSON has no integers, so a schema takes 8000.0 for a port; the reader wants 8000."""
    table, _ = _with(("services", "web"), "port", 8000.0)

    assert _refusals(table, root) == ["versions.toml: services.web.port: expected an integer, found 8000.0"]
    assert VALIDATOR.is_valid(table)


@pytest.mark.parametrize("row", RENAMED, ids=lambda row: row.path)
def test_an_old_name_is_taken_instead_of_the_new_one(row: Any, root: Path) -> None:
    """Reader and schema take the old name, and refuse a table with both; the schema calls the old one deprecated."""
    names = {"gates": (), "services.*.args": ("web",), "services.*.containers.*": ("web", "web-a")}[".".join(row.table)]
    free = iter(names)
    path = tuple(next(free) if part == "*" else part for part in row.table)
    both, holder = _changed(SAMPLE, path)
    holder[row.old] = "Name" if row.up else holder.setdefault(row.name, "x")
    old, holder = _changed(copy.deepcopy(both), path[: len(path) - row.up])  # the reader renames in place
    del holder[row.name]

    assert (VALIDATOR.is_valid(old), _refusals(old, root)) == (True, [])
    assert not VALIDATOR.is_valid(both)
    assert f"is {row.name} now, which is set too" in _refusals(both, root)[0]


def test_the_local_file_requires_nothing_but_whole_smoke_checks() -> None:
    """versions.local.toml may name any key alone; what replaces a whole list is complete."""
    validator = _validator(PARTIAL)
    for path in _paths(SAMPLE):
        if all(isinstance(part, str) for part in path) and "smoke" not in path:
            _, alone = _changed(SAMPLE, path)
            for part in reversed(path):
                alone = {part: alone}
            assert validator.is_valid(alone), path

    assert not validator.is_valid({"services": {"web": {"smoke": [{"path": "/"}]}}})
    assert not validator.is_valid({"services": {"web": {"prot": 1}}})


@pytest.mark.parametrize("name", schema.FILES)
def test_the_committed_schemas_are_current(name: str) -> None:
    """A change of a type, a rule or a description comes with the schemas."""
    committed = (REPOSITORY / schema.FILES[name]).read_text(encoding="utf-8")

    assert committed == schema.text(REPOSITORY, name), "stale: ./inv schema"


def test_the_first_line_names_the_schema() -> None:
    """An editor finds the schema by the directive in the first line, relative to the file."""
    first = (REPOSITORY / "versions.toml").read_text(encoding="utf-8").splitlines()[0]

    assert first == f"#:schema ./{schema.FILES['versions.toml']}"


def test_a_key_without_a_description_is_refused(tmp_path: Path) -> None:
    """There is no schema while the documentation lacks a key."""
    page = (REPOSITORY / reference.PAGE).read_text(encoding="utf-8")
    path = tmp_path / reference.PAGE
    path.parent.mkdir(parents=True)
    path.write_text(re.sub(r"^\| `namespace` .*\n", "", page, flags=re.MULTILINE), encoding="utf-8")

    with pytest.raises(ManifestError, match=r"\[registry\]: namespace has no description"):
        schema.document(tmp_path)


def test_every_description_is_plain_text() -> None:
    """Descriptions have no Markdown left: an editor may show them as they are."""
    texts = [text for keys in reference.descriptions(REPOSITORY).values() for text in keys.values()]

    assert [text for text in texts if re.search(r"\]\(|`|\*\*", text)] == []
