"""What would be installed, and what is written to daemon.json: real files in an empty folder, no engine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from build.engine import install
from build.errors import MissingTool, ToolFailed

BOOKWORM = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
PROBLEM = MissingTool("docker is not installed or not on PATH")


@pytest.mark.parametrize(
    ("release", "plugins_only", "expected"),
    [
        (BOOKWORM, False,
         "docker.io/trixie docker-cli/trixie docker-buildx/trixie docker-compose/trixie iptables mmdebstrap"),
        (BOOKWORM, True, "docker-buildx/trixie docker-compose/trixie"),
        ("ID=debian\nVERSION_ID=13\n", False, "docker.io docker-cli docker-buildx docker-compose iptables mmdebstrap"),
        ("ID=ubuntu\nVERSION_ID=24.04\n", False, "docker.io docker-buildx docker-compose-v2 iptables mmdebstrap"),
        ("ID=ubuntu\nVERSION_ID=24.04\n", True, "docker-buildx docker-compose-v2"),
    ],
)  # fmt: skip
def test_without_consent_it_says_what_it_would_install(
    tmp_path: Path, release: str, plugins_only: bool, expected: str
) -> None:
    """Nothing is installed unasked: the hint holds the command, and the exact packages that it stands for."""
    if not Path("/usr/bin/apt-get").exists():
        pytest.skip("no apt on this machine")
    (tmp_path / "os-release").write_text(release)
    machine = install.Machine(release=tmp_path / "os-release", apt=tmp_path, config=tmp_path / "daemon.json")
    with pytest.raises(MissingTool, match="not installed") as caught:
        install.install(PROBLEM, os.environ, yes=False, ask=False, plugins_only=plugins_only, machine=machine)
    assert caught.value.hint == f"./inv engine --yes   (installs {expected})"
    assert [path.name for path in tmp_path.iterdir()] == ["os-release"]


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("ID=debian\nVERSION_ID=11\n", "https://docs.docker.com/engine/install/"),
        ("ID=fedora\n", "dnf install moby-engine"),
        ("ID=manjaro\nID_LIKE=arch\n", "pacman -S docker"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "zypper install docker"),
        ("", "https://docs.docker.com/engine/install/"),
    ],
)
def test_on_another_distribution_it_names_the_command(tmp_path: Path, release: str, expected: str) -> None:
    """With consent, too, nothing is done where the packages are not known to work."""
    (tmp_path / "os-release").write_text(release)
    machine = install.Machine(release=tmp_path / "os-release", apt=tmp_path, config=tmp_path / "daemon.json")
    with pytest.raises(MissingTool) as caught:
        install.install(PROBLEM, os.environ, yes=True, ask=False, machine=machine)
    assert expected in caught.value.hint


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {"features": {"containerd-snapshotter": True}}),
        ({"log-level": "warn"}, {"log-level": "warn", "features": {"containerd-snapshotter": True}}),
        ({"features": {"cdi": True}}, {"features": {"cdi": True, "containerd-snapshotter": True}}),
        ({"features": {"containerd-snapshotter": False}}, {"features": {"containerd-snapshotter": False}}),
    ],
)
def test_the_daemons_configuration_is_merged(
    tmp_path: Path, before: dict[str, object] | None, after: dict[str, object]
) -> None:
    """A key that somebody set stays as it is."""
    path = tmp_path / "docker/daemon.json"
    if before is not None:
        path.parent.mkdir()
        path.write_text(json.dumps(before))
    install._enable_containerd_store(path, [])
    assert json.loads(path.read_text()) == after


@pytest.mark.parametrize("text", ["{broken", "[]", '{"features": 3}'])
def test_a_configuration_that_is_no_object_is_left_alone(tmp_path: Path, text: str) -> None:
    """dockerd would not start on it either: the error names the file, and the file stays."""
    path = tmp_path / "daemon.json"
    path.write_text(text)
    with pytest.raises(ToolFailed, match=r"daemon\.json is not a JSON object"):
        install._enable_containerd_store(path, [])
    assert path.read_text() == text
