"""Recorded bases on the real engine."""

from __future__ import annotations

from build import bases, state
from tests.conftest import Project


def test_a_stand_in_that_was_made_anew_is_looked_at_again(stack_project: Project) -> None:
    """A record of another image than the engine has is no answer: an image's fingerprint holds its base's digest."""
    manifest = stack_project.load()
    path = manifest.state / "bases.json"
    stored = state.read(path)
    right = stored["python"]["digest"]
    state.write(path, stored | {"python": stored["python"] | {"digest": f"sha256:{'0' * 64}"}})

    found, reasons = bases.resolve(manifest, ["python"])

    assert (found["python"].digest, reasons) == (right, {})
