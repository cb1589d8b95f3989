"""Long silence is broken."""

from __future__ import annotations

import threading

import pytest

from build import waiting


def test_u18_what_is_waited_for_is_said_and_said_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody watches there is a line at once, and later others with what is still missing."""
    monkeypatch.setattr(waiting, "_QUIET_SECONDS", 0.01)
    looks: list[str] = []
    enough = threading.Event()

    def look() -> str:
        looks.append("two of nine")
        if len(looks) > 1:  # the first one's line has been printed
            enough.set()
        return looks[-1]

    with waiting.waiting("starting", look, look_seconds=0):
        first = capsys.readouterr().err
        assert enough.wait(10)
    later = capsys.readouterr().err

    assert first.startswith("  starting\n")
    assert "starting (0 s): two of nine\n" in first + later


def test_a_look_that_fails_is_no_failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for goes on though nobody can say what is missing."""
    monkeypatch.setattr(waiting, "_QUIET_SECONDS", 0.01)
    looked = threading.Event()

    def look() -> str:
        looked.set()
        raise OSError

    with waiting.waiting("starting", look, look_seconds=0):
        assert looked.wait(10)

    assert "starting" in capsys.readouterr().err
