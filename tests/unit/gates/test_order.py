"""The gates as one list: what a release shows its candidates to, what may be skipped, what the preflight requires."""

from __future__ import annotations

from typing import Any

import pytest

from build.diagnosis import Diagnosis
from build.errors import MissingTool, ReleaseRefused
from build.gates import order
from build.gates.protocol import Dependency
from build.release import preflight, steps
from tests.support.project import Project


def test_every_gate_is_a_step_between_stage_and_claim() -> None:
    """Nothing is signed or claimed before every gate has seen the candidates, in the order of the list."""
    keys = [step.key for step in steps.STEPS]

    assert keys.index("sign") < keys.index("claim")
    assert keys[keys.index("stage") + 1 : keys.index("sign")] == [gate.name for gate in order.GATES]


def test_only_a_gate_can_be_skipped() -> None:
    """A misspelt --skip would run what should be skipped: it is refused, with the nearest name."""
    assert order.named(["smoke", "scan", "scan"]) == {"scan", "smoke"}
    assert order.named(["vulnerabilities"]) == {"vulnerabilities"}
    assert order.named([]) == frozenset()

    with pytest.raises(ReleaseRefused, match=r"--skip smok: unknown gate \(did you mean 'smoke'\?\)") as refusal:
        order.named(["scan", "smok"])
    assert refusal.value.hint == "--skip scan | smoke | vulnerabilities"


class _Needy:
    """A gate that lacks something, and records that it was asked for."""

    name = title = "needy"

    def __init__(self) -> None:
        self.required: list[str] = []
        self.dependencies = tuple(self._dependency(name) for name in ("present", "absent", "later"))

    def _dependency(self, name: str) -> Dependency:
        def require(_manifest: object) -> None:
            self.required.append(name)
            if name == "absent":
                raise MissingTool("it is absent")

        return Dependency(name=name, examine=lambda _manifest: Diagnosis("ok", ""), require=require)

    def run(self, *_arguments: Any) -> Any:
        """Never called here."""


def test_the_preflight_requires_what_the_gates_depend_on(project: Project) -> None:
    """The first dependency that is missing stops a release before it builds; a skipped gate requires nothing."""
    gate = _Needy()

    preflight.check_gates(project.load(), [])
    assert gate.required == []
    with pytest.raises(MissingTool, match="it is absent"):
        preflight.check_gates(project.load(), [gate])
    assert gate.required == ["present", "absent"]
