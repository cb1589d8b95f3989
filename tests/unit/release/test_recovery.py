"""What a failure after the claim says: how far the release is, and what finishes it or gives it up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from build.errors import BuildError, RegistryError, VersionTaken
from build.release.recovery import explained
from build.release.stored import ImageGone
from tests.support.records import record


@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        (RegistryError("no answer"), "./inv release --resume"),
        (
            ImageGone("no image"),
            'restore it, then ./inv release --resume; or give it up: ./inv yank 1.4.0 --reason "…"',
        ),
        (RegistryError("no answer", hint="wait; ./inv release --resume"), "wait; ./inv release --resume"),
        (
            VersionTaken("burned"),
            'give it up: ./inv yank 1.4.0 --reason "…"; then ./inv release takes the next version',
        ),
    ],
)
def test_a_failure_after_the_claim_says_how_to_go_on(failure: BuildError, hint: str) -> None:
    """The kind stays; the message starts with the tag and its progress, the hint is the command that goes on."""
    with pytest.raises(type(failure)) as caught, explained(record("1.4.0"), "claimed and not published"):
        raise failure

    assert str(caught.value) == f"v1.4.0 is claimed and not published: {failure}"
    assert caught.value.hint == hint


def test_a_line_of_its_own_is_given_up_by_its_service() -> None:
    """In independent mode the command that gives a version up names the service."""
    made = replace(record("1.4.0"), tag="web/v1.4.0")

    with pytest.raises(ImageGone) as caught, explained(made, "claimed and not recorded"):
        raise ImageGone("no image")

    assert './inv yank 1.4.0 --service web --reason "…"' in caught.value.hint
