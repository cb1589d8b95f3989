"""Trivy and its database as far as neither is run: the age of a database, its probes, TLS, what a killed run leaves."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from build.config.manifest import Gates, Tools
from build.errors import ScanBroken
from build.gates.scan import database, proof, trivy

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("hours", [-23, 0, 48])
def test_a_database_within_its_age_is_taken(hours: int) -> None:
    """Up to the limit, and a little ahead of a slow clock."""
    database.check_age(NOW - timedelta(hours=hours), Gates(db_max_age_hours=48), NOW)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (49, "stale: made 2026-11-20 11:00 UTC, 49 h ago; gates.db_max_age_hours allows 48"),
        (-25, "is dated 2026-11-23 13:00 UTC, and this machine's clock says 2026-11-22 12:00 UTC"),
    ],
)
def test_a_database_out_of_its_age_is_refused(hours: int, words: str) -> None:
    """A stale database, or one from the future, which would never get stale."""
    with pytest.raises(ScanBroken, match=words):
        database.check_age(NOW - timedelta(hours=hours), Gates(db_max_age_hours=48), NOW)


@pytest.mark.parametrize(
    ("kind", "purls"),
    [
        ("python-pkg", ["pkg:pypi/jinja2@2.10"]),
        ("dotnet-core", ["pkg:nuget/Newtonsoft.Json@12.0.1"]),
        ("debian 13.1", [None, "pkg:deb/debian/openssl@0-1?distro=debian-13.1"]),
        ("alpine 3.20.1", [None, "pkg:apk/alpine/openssl@0-r0?distro=alpine-3.20.1"]),
    ],
)
def test_a_probe_is_one_package_known_bad(kind: str, purls: list[str | None]) -> None:
    """For a distribution the probe also says which it is, or Trivy would not look."""
    components = proof.bill(kind)["components"]

    assert [part.get("purl") for part in components] == purls
    assert all(part["name"] and part["version"] for part in components)


@pytest.mark.parametrize(
    ("reference", "flags"),
    [
        ("127.0.0.1:5000/a/b@sha256:1", []),
        ("127.0.0.2:5000/a/b:2", ["--insecure"]),
        ("127.1.2.3/a", ["--insecure"]),
        ("localhost:5000/a", []),
        ("registry.example:5000/a", []),
        ("127.example.org/a", []),
        ("10.0.0.1:5000/a", []),
    ],
)
def test_tls_is_given_up_on_loopback_only(reference: str, flags: list[str]) -> None:
    """No other registry is ever spoken to with unchecked certificates."""
    assert trivy.insecure(reference) == flags


def test_r7_what_a_killed_scan_unpacked_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trivy unpacks images into a folder of the run's own: it is gone after the run, and after a kill by the next one."""
    program = tmp_path / "path" / "trivy"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$1" != --version ] || exec echo 0.99.0\ntouch "$TMPDIR/layer"\nls "$PWD"\n')
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    cache = tmp_path / "cache"
    ended = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    for owner in (ended, os.getppid()):
        (cache / f"temporary-{owner}-x").mkdir(parents=True)

    scanner = trivy.Scanner(cache=cache, tools=Tools(engine="0", buildx="0", compose="0"), folder=tmp_path)
    seen = trivy.trivy(scanner, "version").stdout.split()

    assert any(name.startswith(f"temporary-{os.getpid()}-") for name in seen)
    assert [path.name for path in cache.glob("temporary-*")] == [f"temporary-{os.getppid()}-x"]
