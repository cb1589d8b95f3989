"""The schema of what tasks print with --json; each real output of the other suites is checked against it, too."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft7Validator, ValidationError  # type: ignore[import-untyped]

import tasks
from build.program import output_schema
from build.program.results import RESULTS
from tests.support.commands import CONTEXTS
from tests.support.project import output_validator

DOCUMENT = {"task": "down", "ok": True, "exit_code": 0, "result": None, "error": None, "warnings": []}


def test_u16_every_task_takes_json_and_has_a_type_for_its_result() -> None:
    """No task is left out; one that has no result of its own says so by having no type."""
    assert {context.name for context in CONTEXTS if "--json" not in context.flags} == set()
    assert set(RESULTS) == set(tasks.ns.task_names)
    assert [name for name, kinds in RESULTS.items() if not kinds] == ["watch"]


def test_the_schema_is_a_schema() -> None:
    """It is valid by its own standard, and every reference in it leads to a definition."""
    document = output_schema.document()
    Draft7Validator.check_schema(document)

    used = {part.partition('"')[0] for part in json.dumps(document).split('"#/definitions/')[1:]}
    assert used == set(document["definitions"])


@pytest.mark.parametrize(
    "change",
    [
        {"result": {"removed": ["a"]}}, {"result": {"removed": [1], "volumes": True}}, {"result": "text"},
        {"error": {"kind": "no-such-kind", "message": "", "hint": "", "output": ""}}, {"ok": "yes"}, {"more": 1},
        {"warnings": None}, {"exit_code": "0"},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    """A result of another shape, an unknown kind of failure, a wrong type and an unknown key each fail."""
    output_validator().validate(DOCUMENT)
    output_validator().validate(DOCUMENT | {"result": {"removed": ["a"], "volumes": True}})

    with pytest.raises(ValidationError):
        output_validator().validate(DOCUMENT | change)
