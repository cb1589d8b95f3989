"""What is advised on each system."""

from __future__ import annotations

from pathlib import Path

import pytest

from build.engine import distribution


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n', "./inv engine --yes"),
        ("ID=ubuntu\n", "./inv engine --yes"),
        ("ID=fedora\n", "sudo dnf install moby-engine"),
        ("ID=alpine\n", "apk add docker"),
        ("ID=unheard-of\n", "https://docs.docker.com/engine/install/"),
    ],
)
def test_the_advice_can_be_followed_on_the_machine_it_is_for(tmp_path: Path, release: str, expected: str) -> None:
    """Our own command is advised where it installs something; elsewhere the system's own, or Docker's pages."""
    (tmp_path / "os-release").write_text(release)
    assert distribution.advice(tmp_path / "os-release").startswith(expected)
