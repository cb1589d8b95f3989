"""The order of a release: what is public comes last, and can be finished alone."""

from __future__ import annotations

from build.release.steps import FINISH, STEPS


def test_each_step_has_an_identifier_and_a_title_of_its_own() -> None:
    """Tests and gates name steps by their keys; people tell them apart by their titles."""
    assert len({step.key for step in STEPS}) == len({step.title for step in STEPS}) == len(STEPS)


def test_all_that_follows_the_claim_finishes_any_release() -> None:
    """Behind the claim stand the steps that an interrupted release is finished with, in their order, and no other."""
    keys = [step.key for step in STEPS]

    assert STEPS[keys.index("claim") + 1 :] == FINISH
    assert keys.index("resume") == 0
    assert keys.index("stage") < keys.index("scan") < keys.index("smoke") < keys.index("claim")
