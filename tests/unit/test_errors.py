"""The kinds of failures: every refusal has one, and rewording a failure keeps it."""

from __future__ import annotations

import ast

import pytest

from build.errors import RegistryError, ToolFailed
from tests.support.project import REPOSITORY
from tests.support.source import parsed


def _bare(tree: ast.Module) -> bool:
    """Whether the module makes a BuildError of no kind: exit code 1."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(ast.unparse(function).rpartition(".")[2] == "BuildError" for function in calls)


def test_only_the_doctor_fails_with_exit_code_1() -> None:
    """Any other failure has a kind, and the exit code of its kind."""
    paths = [path for path in (REPOSITORY / "build").rglob("*.py") if "BuildError(" in path.read_text(encoding="utf-8")]

    assert [path.name for path in paths if _bare(parsed(path))] == ["doctor.py"]


@pytest.mark.parametrize("text", ["raise BuildError('x')", "error = errors.BuildError('x', hint='y')"])
def test_a_failure_of_no_kind_is_seen(text: str) -> None:
    """The guard sees one that is raised and one that is made to be raised later."""
    assert _bare(ast.parse(text))


def test_rewording_a_failure_keeps_its_kind_and_evidence() -> None:
    """A new message and hint; output, HTTP status and the tool's exit code stay, and the first failure is unchanged."""
    tool = ToolFailed("git failed", hint="retry", output="fatal: no", returncode=128)
    registry = RegistryError("refused", hint="log in")
    registry.status = 403

    reworded = tool.with_message("v1.4.0 is claimed: git failed", hint="./inv release --resume")
    refused = registry.with_message("not right: refused", hint="wait")

    assert (str(reworded), reworded.hint) == ("v1.4.0 is claimed: git failed", "./inv release --resume")
    assert (type(reworded), reworded.output, reworded.returncode) == (ToolFailed, "fatal: no", 128)
    assert (type(refused), refused.status, refused.hint) == (RegistryError, 403, "wait")
    assert (str(tool), tool.hint, str(registry)) == ("git failed", "retry", "refused")
