"""What apt's sources say, in both formats, and the suite that is added beside them; files in an empty folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from build.engine import apt
from build.errors import MissingTool

MIRROR, KEY = "http://mirror.example/debian", "/usr/share/keyrings/Own.gpg"
DEB822 = f"""\
Types: deb
# a comment inside
URIs: {MIRROR}
Suites: bookworm bookworm-updates
Components: main
Signed-By: {KEY}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
CLOUD = "mirror+file:/etc/apt/mirrors/debian.list"
needs_posix = pytest.mark.skipif(os.name == "nt", reason="needs apt's layout")


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@needs_posix
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list.d/debian.sources", DEB822, [f"URIs: {MIRROR}", f"Signed-By: {KEY}"]),
        ("sources.list.d/cloud.sources", DEB822.replace(f"{MIRROR}\n", f"{CLOUD}\n"),
         [f"URIs: {CLOUD}", f"Signed-By: {KEY}"]),
        ("sources.list.d/two.sources", DEB822.replace(f"{MIRROR}\n", f"http://other.example/x {MIRROR}\n"),
         [f"URIs: {MIRROR}", f"Signed-By: {KEY}"]),
        ("sources.list", f"# deb http://old.example/debian bookworm main\ndeb {MIRROR} bookworm main contrib\n",
         [f"URIs: {MIRROR}"]),
        ("sources.list", f"deb [Trusted=yes arch=amd64] {MIRROR}/ bookworm main # ours\n",
         [f"URIs: {MIRROR}/", "Trusted: yes"]),
        ("sources.list.d/own.list", f"deb [signed-by={KEY}] {MIRROR} bookworm main\n",
         [f"URIs: {MIRROR}", f"Signed-By: {KEY}"]),
    ],
)  # fmt: skip
def test_the_mirror_is_the_machines_own(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    """In a closed network the suite comes from the mirror that already works, with the key that goes with it."""
    _write(tmp_path, name, text)

    source, preferences = apt.add_suite("trixie", "bookworm", tmp_path, [])

    assert source == tmp_path / "sources.list.d/unity-claude-trixie.sources"
    assert source.read_text().splitlines() == ["Types: deb", *expected, "Suites: trixie", "Components: main"]
    assert preferences == tmp_path / "preferences.d/unity-claude-trixie"
    assert preferences.read_text() == "Package: *\nPin: release n=trixie\nPin-Priority: 100\n"


@needs_posix
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", ""),
        ("sources.list", f"deb {MIRROR}/12/prod bookworm main\n"),
        ("sources.list", f"deb {MIRROR} trixie main\n"),
        ("sources.list", f"deb {MIRROR} bookworm contrib\n"),
        ("sources.list", f"deb-src {MIRROR} bookworm main\n"),
        ("sources.list.d/debian.sources", f"Enabled: no\n{DEB822}"),
        ("sources.list.d/debian.sources", DEB822.replace("Types: deb\n", "Types: deb-src\n")),
        ("sources.list.d/debian.list.disabled", f"deb {MIRROR} bookworm main\n"),
    ],
)
def test_a_machine_without_a_debian_mirror_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """Rather than taking packages from an address that nobody chose; what apt does not read does not count."""
    _write(tmp_path, name, text)

    with pytest.raises(MissingTool, match="names no Debian mirror"):
        apt.add_suite("trixie", "bookworm", tmp_path, [])


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list.d/debian.sources", DEB822, MIRROR),
        ("sources.list.d/debian.sources", DEB822.replace(f"{MIRROR}\n", f"{CLOUD}\n"), None),
        ("sources.list", f"deb http://security.example/debian-security bookworm main\ndeb {MIRROR}/ sid main\n",
         f"{MIRROR}/"),
        ("sources.list", "deb http://archive.example/ubuntu noble main\n", None),
    ],
)  # fmt: skip
def test_stand_ins_come_from_the_first_mirror_over_http(
    tmp_path: Path, name: str, text: str, expected: str | None
) -> None:
    """Of any suite: mmdebstrap names its own; the list of mirrors of a cloud image is no address for it."""
    _write(tmp_path, name, text)

    assert apt.debian_mirror(tmp_path) == expected


def test_e10_security_updates_come_from_apt_s_own_source_of_them_or_from_beside_the_mirror(tmp_path: Path) -> None:
    """A mirror has both archives next to each other; who set another source of the updates gets that one."""
    (tmp_path / "sources.list").write_text("deb http://mirror.example/debian/ bookworm main\n")
    beside = apt.security_mirror(tmp_path)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "security.sources").write_text(
        "Types: deb\nURIs: http://updates.example/debian-security\nSuites: bookworm-security\nComponents: main\n"
    )

    assert beside == "http://mirror.example/debian-security"
    assert apt.security_mirror(tmp_path) == "http://updates.example/debian-security"
    assert apt.debian_mirror(tmp_path) == "http://mirror.example/debian/"
    assert apt.security_mirror(tmp_path / "nowhere") is None
