"""The signing key of a release in a pipeline: in files of the job alone, or not there at all."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

from build.config.load import load
from tests.support import pipelines
from tests.support.project import REPOSITORY, Project

SCRIPT = REPOSITORY / ".ci/signing-key"


def _signing_key(folder: Path, **values: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **values}
    return subprocess.run(
        ["sh", str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, check=False
    )


def test_the_key_is_in_files_that_only_this_user_can_read(tmp_path: Path, project: Project) -> None:
    """Key and password are in files with mode 0600, whether they came as values or as files; the settings name them."""
    (tmp_path / "given").write_text("the key\n", encoding="utf-8")
    folder = tmp_path / "signing"

    ran = _signing_key(folder, SIGNING_KEY=str(tmp_path / "given"), SIGNING_PASSWORD="a password")

    assert ran.returncode == 0, ran.stderr
    files = {path.name: path for path in folder.iterdir()}
    assert {name: stat.S_IMODE(path.stat().st_mode) for name, path in files.items()} == {
        "release.key": 0o600, "release.password": 0o600,
    }  # fmt: skip
    assert [files[name].read_text() for name in sorted(files)] == ["the key\n", "a password\n"]
    assert "a password" not in ran.stdout
    signing = load(project.root, dict(line.split("=", 1) for line in ran.stdout.splitlines())).signing
    assert (signing.key_file, signing.password_file) == (str(files["release.key"]), str(files["release.password"]))


def test_without_a_key_nothing_is_written(tmp_path: Path) -> None:
    """A project without a key releases as before; half a key stops the job."""
    without = _signing_key(tmp_path / "signing")
    half = _signing_key(tmp_path / "signing", SIGNING_KEY="the key")

    assert (without.returncode, without.stdout) == (0, "")
    assert (half.returncode, half.stdout) == (1, "")
    assert "belong together" in half.stderr
    assert not (tmp_path / "signing").exists()


def test_only_the_release_gets_the_key() -> None:
    """On both systems the job that releases runs the script, before it releases, and no other job does."""
    github = {
        (path.name, name): _steps(job)
        for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
        for name, job in pipelines.read(path)["jobs"].items()
    }
    gitlab = {name: _lines(job) for name, job in pipelines.read(pipelines.GITLAB).items() if isinstance(job, dict)}

    assert [place for place, steps in github.items() if any("signing-key" in step for step in steps)] == [
        ("release.yml", "release")
    ]
    assert [name for name, lines in gitlab.items() if any("signing-key" in line for line in lines)] == ["release"]
    for lines in (github["release.yml", "release"], gitlab["release"]):
        (key,) = (number for number, line in enumerate(lines) if "signing-key" in line)
        (release,) = (number for number, line in enumerate(lines) if "./inv release " in line)
        assert key < release
    after = pipelines.read(pipelines.GITLAB)["release"]["after_script"]
    assert after == ["rm -rf .uc/login"]


def _steps(job: dict[str, Any]) -> list[str]:
    return [str(step.get("run", "")) for step in job.get("steps", [])]


def _lines(job: dict[str, Any]) -> list[str]:
    return [str(line) for part in ("before_script", "script") for line in job.get(part) or []]
