"""What would be installed, from where, and what is written: real files in an empty folder, no engine."""

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
        install.install(PROBLEM, yes=False, ask=False, plugins_only=plugins_only, machine=machine)
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
        install.install(PROBLEM, yes=True, ask=False, machine=machine)
    assert expected in caught.value.hint


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (BOOKWORM, "./inv engine --yes"),
        ("ID=ubuntu\n", "./inv engine --yes"),
        ("ID=fedora\n", "sudo dnf install moby-engine"),
        ("ID=alpine\n", "apk add docker"),
        ("ID=unheard-of\n", "https://docs.docker.com/engine/install/"),
    ],
)
def test_the_advice_can_be_followed_on_the_machine_it_is_for(tmp_path: Path, release: str, expected: str) -> None:
    """Our own command is advised where it installs something; elsewhere the system's own, or Docker's pages."""
    (tmp_path / "os-release").write_text(release)
    assert install.advice(install.Machine(release=tmp_path / "os-release")).startswith(expected)


MIRROR, KEY = "http://mirror.example/debian", "/usr/share/keyrings/own.gpg"
DEB822 = """\
Types: deb
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/own.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list.d/debian.sources", DEB822, {"URIs": MIRROR, "Signed-By": KEY}),
        ("sources.list.d/debian.sources", "Enabled: no\n" + DEB822, None),
        ("sources.list.d/cloud.sources", DEB822.replace(f"{MIRROR}\n", "mirror+file:/etc/apt/mirrors/debian.list\n"),
         {"URIs": "mirror+file:/etc/apt/mirrors/debian.list", "Signed-By": KEY}),
        ("sources.list", f"# deb http://old.example/debian bookworm main\ndeb {MIRROR} bookworm main contrib\n",
         {"URIs": MIRROR}),
        ("sources.list", f"deb [trusted=yes arch=amd64] {MIRROR}/ bookworm main\n",
         {"URIs": f"{MIRROR}/", "Trusted": "yes"}),
        ("sources.list", f"deb {MIRROR}/12/prod bookworm main\n", None),
        ("sources.list", f"deb {MIRROR} trixie main\n", None),
    ],
)  # fmt: skip
def test_the_mirror_is_the_machines_own(tmp_path: Path, name: str, text: str, expected: dict[str, str] | None) -> None:
    """In a closed network the suite beside comes from the mirror that already works, with the key that goes with it."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert install.debian_source(tmp_path, "bookworm") == expected


def test_the_source_is_pinned_below_the_machines_own(tmp_path: Path) -> None:
    """Nothing but what is asked for by suite comes from the newer Debian."""
    (tmp_path / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
    written = install._write_source(tmp_path, {"VERSION_CODENAME": "bookworm"}, [])
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "sources.list.d/unity-claude-trixie.sources",
        "preferences.d/unity-claude-trixie",
    ]
    assert written[0].read_text().splitlines() == [
        "Types: deb", "URIs: http://mirror.example/debian", "Suites: trixie", "Components: main",
    ]  # fmt: skip
    assert "Pin-Priority: 100\n" in written[1].read_text()


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
    install._write_config(path, [])
    assert json.loads(path.read_text()) == after


@pytest.mark.parametrize("text", ["{broken", "[]", '{"features": 3}'])
def test_a_configuration_that_is_no_object_is_left_alone(tmp_path: Path, text: str) -> None:
    """dockerd would not start on it either: its owner is told, and the file stays."""
    path = tmp_path / "daemon.json"
    path.write_text(text)
    with pytest.raises(ToolFailed, match=r"daemon\.json is not a JSON object"):
        install._write_config(path, [])
    assert path.read_text() == text


@pytest.mark.skipif(os.name == "nt", reason="needs apt's layout")
def test_a_machine_without_a_debian_mirror_is_refused(tmp_path: Path) -> None:
    """Rather than taking packages from an address that nobody chose."""
    (tmp_path / "sources.list").write_text("")
    with pytest.raises(MissingTool, match="names no Debian mirror"):
        install._write_source(tmp_path, {"VERSION_CODENAME": "bookworm"}, [])
