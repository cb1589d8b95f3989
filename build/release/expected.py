"""What the attestations of a release must say, by the type of their predicate."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from build.release import statements
from build.release.record import Record
from build.signing.envelope import Statement

Expected = dict[str, Callable[[Statement], str]]  # a predicate's type → what is wrong with it


def of_release(record: Record) -> Expected:
    """What is expected of the record's own attestations."""
    expected: Expected = dict.fromkeys(statements.gates_of(record), _anything)
    expected[statements.PROVENANCE] = partial(_commit_problem, record.commit)
    return expected


def of_image(commit: str, bill: bytes | None) -> Expected:
    """What is expected of an image's: a commit ("" is any), and a bill of materials if there is one to compare."""
    expected: Expected = {statements.PROVENANCE: partial(_commit_problem, commit)}
    if bill is not None:
        expected[statements.BILL_OF_MATERIALS] = partial(_bill_problem, bill)
    return expected


def _anything(_statement: Statement) -> str:
    return ""


def _commit_problem(commit: str, statement: Statement) -> str:
    materials = statement.predicate.get("buildDefinition", {}).get("resolvedDependencies", [])
    stated = next((each["digest"].get("gitCommit", "") for each in materials if each.get("name") == "commit"), "")
    return "" if commit in {"", stated} else f"it says commit {stated}, the record {commit}"


def _bill_problem(bill: bytes, statement: Statement) -> str:
    return "" if json.loads(bill) == statement.predicate else "it is not the document that the record names"
