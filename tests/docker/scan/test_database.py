"""Databases that are missing, unreachable, stale, truncated, empty or foreign: the scan says so, or the gate breaks."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from build import json_file
from build.config.manifest import Manifest
from build.errors import ScanBroken
from build.gates.scan import source
from build.gates.scan.verdict import described
from build.images.image import Image
from tests.docker.scan.conftest import DEBIAN, Build, Registry, gate, report, serve
from tests.support import database_writer


def test_without_a_database_secrets_are_still_found(
    manifest: Manifest, leaking: Image, vulnerable: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """No database configured: the other scanners run, and the output says what was not checked."""
    leaked, unknown = gate(manifest, leaking, vulnerable, db_repository="none")

    assert (leaked.refused, leaked.vulnerabilities_checked) == (True, False)
    assert (unknown.refused, unknown.vulnerabilities_checked, unknown.database) == (False, False, "")
    assert described(unknown) == "passed, vulnerabilities NOT checked"
    assert 'vulnerabilities were NOT checked: gates.db_repository is "none"' in capsys.readouterr().err


def test_without_a_database_an_sbom_is_kept(manifest: Manifest, vulnerable: Image) -> None:
    """The SBOM needs no database."""
    (verdict,) = gate(manifest, vulnerable, db_repository="none")

    assert [part["purl"] for part in report(verdict, "cdx.json")["components"]] == ["pkg:pypi/jinja2@2.10"]


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "never answers"])
def test_an_unreachable_database_leaves_the_other_scanners(
    manifest: Manifest, leaking: Image, capsys: pytest.CaptureFixture[str], listens: bool
) -> None:
    """If the database's registry is down, or behind a firewall, the scan behaves and reports as with none configured."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        if listens:
            dead.listen()
        (verdict,) = gate(manifest, leaking, db_repository=f"127.0.0.1:{dead.getsockname()[1]}/db:2")

    assert (verdict.refused, verdict.vulnerabilities_checked) == (True, False)
    assert "vulnerabilities were NOT checked: the registry of 127.0.0.1" in capsys.readouterr().err


def test_a_copy_in_the_cache_serves_while_the_registry_is_away(
    registry_program: str,
    manifest: Manifest,
    vulnerable: Image,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A database fetched by digest needs no registry afterwards; one fetched by tag is used with a warning."""
    with serve(registry_program, tmp_path, "127.0.0.1") as other:
        pinned = other.push("own", database_writer.bolt(database_writer.advisories()), age=timedelta(hours=30))
        tagged = pinned.partition("@")[0] + ":2"
        assert gate(manifest, vulnerable, db_repository=pinned)[0].refused
    # As if a day later, when Trivy no longer considers its copy current.
    metadata = manifest.workspace.trivy / "db" / "metadata.json"
    json_file.write(metadata, json_file.read(metadata) | {"DownloadedAt": "2020-01-01T00:00:00Z"})
    assert gate(manifest, vulnerable, db_repository=pinned)[0].vulnerabilities_checked
    assert "warning" not in capsys.readouterr().err

    json_file.write(manifest.workspace.trivy / "origin.json", {"repository": tagged})
    assert gate(manifest, vulnerable, db_repository=tagged)[0].vulnerabilities_checked
    assert "can't be reached: the copy fetched earlier is used" in capsys.readouterr().err


def test_another_database_replaces_the_one_in_the_cache(
    manifest: Manifest, vulnerable: Image, registry: Registry
) -> None:
    """A new gates.db_repository takes effect immediately, although Trivy considers its copy current."""
    gate(manifest, vulnerable)
    advisories = database_writer.advisories()
    advisories["pip::GHSA"] = {
        "jinja2": {"CVE-2020-28493": database_writer.record({"VulnerableVersions": ["<2.11.3"]})}
    }
    other = registry.push("other", database_writer.bolt(advisories))
    (verdict,) = gate(manifest, vulnerable, db_repository=other)

    assert not verdict.refused


def test_a_stale_database_breaks_the_gate(manifest: Manifest, clean: Image, registry: Registry) -> None:
    """With a database older than gates.db_max_age_hours the gate can't run: the error names date and setting."""
    stale = registry.push("stale", database_writer.bolt(database_writer.advisories()), age=timedelta(hours=49))

    with pytest.raises(ScanBroken, match=r"stale: made \d{4}-.* UTC, 49 h ago; gates.db_max_age_hours allows 48"):
        gate(manifest, clean, db_repository=stale)
    assert gate(manifest, clean, db_repository=stale, db_max_age_hours=50)[0].vulnerabilities_checked


def test_a_truncated_database_breaks_the_gate_until_it_is_whole(
    manifest: Manifest, clean: Image, registry: Registry
) -> None:
    """Trivy crashes on it; the cached copy is dropped, so the repaired database is fetched."""
    whole = database_writer.bolt(database_writer.advisories())
    tag = registry.push("cut", whole[: len(whole) // 2]).partition("@")[0] + ":2"

    with pytest.raises(ScanBroken, match="is broken: Trivy can't read it") as broken:
        gate(manifest, clean, db_repository=tag)
    assert broken.value.output
    assert "goroutine" not in broken.value.output
    registry.push("cut", whole)
    assert gate(manifest, clean, db_repository=tag)[0].vulnerabilities_checked


def test_a_download_that_was_cut_off_is_made_again(manifest: Manifest, clean: Image) -> None:
    """Killed while unpacking, Trivy leaves a database that looks complete; one without our marker is fetched again."""
    gate(manifest, clean)
    (manifest.workspace.trivy / "origin.json").unlink()
    half = manifest.workspace.trivy / "db" / "trivy.db"
    os.truncate(half, half.stat().st_size // 2)

    assert gate(manifest, clean)[0].vulnerabilities_checked


def test_an_empty_database_breaks_the_gate(manifest: Manifest, vulnerable: Image, registry: Registry) -> None:
    """Trivy finds nothing with it and exits 0; a package known to be vulnerable reveals that."""
    empty = registry.push("empty", database_writer.bolt({"data-source": {}, "vulnerability": {}}))

    with pytest.raises(ScanBroken, match="knows nothing about Python packages"):
        gate(manifest, vulnerable, db_repository=empty)


@pytest.mark.parametrize(
    ("bucket", "files", "unknown"),
    [
        ("debian 13", DEBIAN, "debian 13.1"),
        ("npm::GHSA", {"app/node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}'}, "npm packages"),
    ],
)
def test_a_database_without_what_an_image_holds_breaks_the_gate(
    manifest: Manifest, build: Build, registry: Registry, bucket: str, files: dict[str, str], unknown: str
) -> None:
    """Missing advisories for the image's distribution or package type would look like no findings."""
    advisories = {name: content for name, content in database_writer.advisories().items() if name != bucket}
    partial = registry.push("partial", database_writer.bolt(advisories))
    image = build("partial", files)

    with pytest.raises(ScanBroken, match=f"knows nothing about {unknown}"):
        gate(manifest, image, db_repository=partial)
    assert gate(manifest, image)[0].vulnerabilities_checked


def test_a_repository_that_is_not_a_database_breaks_the_gate(
    manifest: Manifest, clean: Image, registry: Registry
) -> None:
    """A registry that answers but has no such database is a wrong setting, not a network failure."""
    for wrong in (f"{registry.address}/nothing:2", clean.reference):
        with pytest.raises(ScanBroken) as broken:
            gate(manifest, clean, db_repository=wrong)
        assert "gates.db_repository" in broken.value.hint


def test_vulnerabilities_alone_without_a_database_break_the_gate(manifest: Manifest, clean: Image) -> None:
    """A scan that can check nothing is not a pass."""
    with pytest.raises(ScanBroken, match="there is nothing to scan for"):
        gate(manifest, clean, db_repository="none", scanners=("vuln",))


# The public databases -----------------------------------------------------------------------------------------------


@pytest.fixture
def public(registry: Registry, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry that is away, and behind it one that has the database: as the public ones, by their tags."""
    name = database.partition("@")[0] + ":2"
    monkeypatch.setattr(source, "PUBLIC", ("127.0.0.1:1/db:2", name))
    return name


def test_the_first_public_database_that_answers_is_used(
    manifest: Manifest, vulnerable: Image, public: str, database: str
) -> None:
    """By default Trivy's public databases are tried in turn, and the digest of the one that answered is known."""
    (verdict,) = gate(manifest, vulnerable, db_repository="default")

    assert (verdict.refused, verdict.vulnerabilities_checked) == (True, True)
    assert verdict.database_reference == database
    assert json_file.read(manifest.workspace.trivy / "origin.json") == {"repository": database}


def test_a_public_registry_without_the_database_is_passed_over(
    manifest: Manifest, vulnerable: Image, registry: Registry, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody has named is no wrong setting: the next one is asked."""
    monkeypatch.setattr(source, "PUBLIC", (f"{registry.address}/nothing:2", vulnerable.reference, public))
    (verdict,) = gate(manifest, vulnerable, db_repository="default")

    assert verdict.vulnerabilities_checked


def test_without_a_public_database_the_scan_says_why(
    manifest: Manifest, leaking: Image, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If none can be reached, the other scanners run, and the output has each one's problem."""
    monkeypatch.setattr(source, "PUBLIC", ("127.0.0.1:1/a:2", "127.0.0.1:2/b:2"))
    (verdict,) = gate(manifest, leaking, db_repository="default")

    assert (verdict.refused, verdict.vulnerabilities_checked) == (True, False)
    words = capsys.readouterr().err
    assert "vulnerabilities were NOT checked: no public database can be reached (127.0.0.1:1/a:2: registry" in words
    assert "127.0.0.1:2/b:2: registry 127.0.0.1:2 does not answer" in words


def test_an_earlier_copy_of_a_public_database_serves_until_it_is_too_old(
    manifest: Manifest,
    vulnerable: Image,
    public: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without network the copy here is used with a warning; one that is too old is as good as none, not a failure."""
    gate(manifest, vulnerable, db_repository="default")
    host, _, rest = public.partition("/")
    away = f"{host.partition(':')[0]}:1/{rest}"
    monkeypatch.setattr(source, "PUBLIC", (away,))
    origin = manifest.workspace.trivy / "origin.json"
    json_file.write(origin, {"repository": away.removesuffix(":2") + json_file.read(origin)["repository"][-72:]})

    assert gate(manifest, vulnerable, db_repository="default")[0].vulnerabilities_checked
    assert "the copy fetched earlier is used" in capsys.readouterr().err
    metadata = manifest.workspace.trivy / "db" / "metadata.json"
    json_file.write(metadata, json_file.read(metadata) | {"UpdatedAt": "2020-01-01T00:00:00Z"})
    assert not gate(manifest, vulnerable, db_repository="default")[0].vulnerabilities_checked
    assert "the copy here is of 2020-01-01, which is too old" in capsys.readouterr().err


def test_a_newer_database_under_the_same_tag_is_fetched(
    manifest: Manifest, vulnerable: Image, registry: Registry
) -> None:
    """A tag that has moved is another database, although Trivy considers its copy current."""
    tag = registry.push("moving", database_writer.bolt(database_writer.advisories())).partition("@")[0] + ":2"
    assert gate(manifest, vulnerable, db_repository=tag)[0].refused
    advisories = database_writer.advisories()
    advisories["pip::GHSA"] = {
        "jinja2": {"CVE-2020-28493": database_writer.record({"VulnerableVersions": ["<2.11.3"]})}
    }
    moved = registry.push("moving", database_writer.bolt(advisories))

    (verdict,) = gate(manifest, vulnerable, db_repository=tag)

    assert (verdict.refused, verdict.database_reference) == (False, moved)
