"""Debian's security suite with the real apt, which verifies it: what is older there is said, or refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from build.config.manifest import Manifest
from build.errors import ScanBroken, ScanRejected
from build.gates import order
from build.gates.scan import debian
from build.gates.scan.gate import enforce
from build.gates.scan.verdict import described
from build.images.image import Image
from tests.docker.scan.conftest import DEBIAN, Build, gate
from tests.support import security_archive
from tests.support.machine import lacking
from tests.support.security_archive import Archive

FIXED = {"libssl3t64": "3.5.4-1~deb13u2", "curl": "8.14.1-2"}


@pytest.fixture(scope="module")
def image(build: Build) -> Image:
    """An image with libssl3t64 3.5.1-1 of Debian 13."""
    return build("debian", DEBIAN)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive that this machine's apt is configured with."""
    if shutil.which("apt-get") is None:
        lacking("apt-get")
    with security_archive.serve(tmp_path) as served:
        served.publish(FIXED)
        monkeypatch.setattr(debian, "CONFIGURATION", served.configure(tmp_path / "apt"))
        yield served


def judged(manifest: Manifest, image: Image, **gates: Any) -> debian.Compared:
    """What the scan says of the suite, with only the scanner that needs no database."""
    (verdict,) = gate(manifest, image, db_repository="none", **{"debian_security": "warn"} | gates)
    return verdict.security


def test_older_packages_are_a_verdict_of_their_own(
    manifest: Manifest, image: Image, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside "NOT checked", and never in its place: how many are older, with both versions; it warns and passes."""
    (verdict,) = gate(manifest, image, db_repository="none", debian_security="warn")

    assert not verdict.refused
    assert described(verdict) == "passed, vulnerabilities NOT checked, 1 package older than trixie-security"
    assert verdict.security.outdated == ("libssl3t64 3.5.1-1, there 3.5.4-1~deb13u2",)
    assert "debian: 1 package older than trixie-security: libssl3t64 3.5.1-1" in capsys.readouterr().err


@pytest.mark.parametrize("there", ["3.5.1-1", "3.5.1-1~deb13u1", "3.4.9-9"])
def test_what_is_not_older_is_no_finding(manifest: Manifest, image: Image, archive: Archive, there: str) -> None:
    """Versions compare as dpkg compares them: a tilde sorts before the end."""
    archive.publish({"libssl3t64": there})

    compared = judged(manifest, image)

    assert (compared.suite, compared.outdated, compared.problem) == ("trixie-security", (), "")
    assert compared.date


def test_older_packages_refuse_where_that_is_wanted(manifest: Manifest, image: Image, archive: Archive) -> None:
    """With "refuse" they stop a release as findings do, by name."""
    (verdict,) = gate(manifest, image, db_repository="none", debian_security="refuse")

    with pytest.raises(ScanRejected, match="debian: 1 package older than trixie-security"):
        enforce([verdict])
    assert described(verdict) == "refused: 1 package older than trixie-security, vulnerabilities NOT checked"
    archive.publish({"libssl3t64": "3.5.1-1"})


def _forge(archive: Archive) -> None:
    archive.packages.write_text(archive.packages.read_text().replace("3.5.4-1", "3.5.0-1"))


def _unsign(archive: Archive) -> None:
    signed = archive.packages.parents[2] / "InRelease"
    signed.write_text(signed.read_text().replace("Label: Debian-Security", "Label: Debian-Securitx"))


def _expire(archive: Archive) -> None:
    archive.publish(FIXED, age=timedelta(days=30))


def _empty(archive: Archive) -> None:
    shutil.rmtree(archive.packages.parents[2])


@pytest.mark.parametrize("spoil", [_forge, _unsign, _expire, _empty])
def test_a_suite_that_can_not_be_trusted_is_not_compared_with(
    manifest: Manifest, image: Image, archive: Archive, spoil: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another list than was signed, another text, an old one, none: the scan says why; where it must refuse, it breaks."""
    spoil(archive)

    compared = judged(manifest, image)

    assert (compared.outdated, compared.date, bool(compared.problem)) == ((), "", True)
    assert f"packages were NOT compared with trixie-security: {compared.problem}" in capsys.readouterr().err
    with pytest.raises(ScanBroken, match='debian_security is "refuse", and trixie-security can') as broken:
        judged(manifest, image, debian_security="refuse")
    assert broken.value.exit_code == 8


def test_an_earlier_copy_of_the_suite_is_not_taken_for_todays(
    manifest: Manifest, image: Image, archive: Archive
) -> None:
    """apt goes on with its old lists when a mirror is away; here that is no comparison."""
    assert judged(manifest, image).outdated
    archive.stop()
    debian.fetched.cache_clear()

    compared = judged(manifest, image)

    assert (compared.outdated, "Could not connect" in compared.problem) == ((), True)


def test_without_a_mirror_the_words_say_so(
    manifest: Manifest, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose apt names no mirror of Debian compares nothing, and a demand is refused before a build."""
    monkeypatch.setattr(debian, "CONFIGURATION", tmp_path / "none")

    assert "names no mirror of Debian" in judged(manifest, image).problem
    demanding = replace(manifest, gates=replace(manifest.gates, debian_security="refuse"))
    with pytest.raises(ScanBroken, match="names no mirror of Debian"):
        debian.require(demanding)
    debian.require(manifest)
    assert (debian.examine(demanding).state, debian.examine(manifest).state) == ("fail", "skip")


def test_another_image_is_not_compared(manifest: Manifest, clean: Image, archive: Archive) -> None:
    """An image without Debian packages is not mentioned, nor is any where the setting is off."""
    assert judged(manifest, clean) == debian.Compared()
    assert judged(manifest, clean, debian_security="off") == debian.Compared()
    assert not (manifest.workspace.root / "apt").exists()


def test_the_record_keeps_the_comparison(manifest: Manifest, image: Image, archive: Archive) -> None:
    """A release names the suite with its date, and what was older; or in its notes why nothing was compared."""
    own = replace(manifest, gates=replace(manifest.gates, severity=("LOW",), debian_security="warn"))

    verdict = order.judge(order.GATES[0], own, {"web": image}, dict, ())

    assert verdict.outdated == {"debian": ("libssl3t64 3.5.1-1, there 3.5.4-1~deb13u2",)}
    assert [suite.partition(" of ")[0] for suite in verdict.security_suites] == ["trixie-security"]
