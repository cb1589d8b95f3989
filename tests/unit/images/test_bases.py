"""Where base images come from, as far as no engine has to be asked."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from build import json_file
from build.config.manifest import BaseImage
from build.errors import BaseUnavailable
from build.images import bases, build, stand_in
from tests.support.project import PYTHON, Project


def test_a_planned_build_resolves_no_base(project: Project) -> None:
    """A dry run makes no stand-in and asks no registry: what is not known yet has its upstream name, in every service."""
    project.service("api", 18981, f"FROM {PYTHON}\n", bases='["python"]')
    manifest = project.load(UC_BASES_SOURCE="archive")

    before = build.preview(manifest, ["api"])["target"]["api"]["contexts"]
    unwritten = not (manifest.workspace.bases).exists()
    known = bases.planned(manifest, ["python"])["python"]
    record = {"source": "archive", "context": f"docker-image://uc-base/{PYTHON}", "digest": "sha256:1"}
    json_file.write(manifest.workspace.bases, {"python": {**dataclasses.asdict(known), **record}})
    after = build.preview(manifest, ["api"])["target"]["api"]["contexts"]

    assert unwritten
    assert before == {PYTHON: f"docker-image://docker.io/library/{PYTHON}"}
    assert after == {PYTHON: f"docker-image://uc-base/{PYTHON}"}


def test_a_record_under_other_settings_is_not_used(project: Project) -> None:
    """Another mirror, order of sources or list of packages is another base: it is resolved again."""
    manifest = project.load()
    known = bases.planned(manifest, ["python"])["python"]
    json_file.write(manifest.workspace.bases, {"python": dataclasses.asdict(known)})

    assert bases.recorded(manifest, ["python"]) == {"python": known}
    assert bases.recorded(project.load(UC_BASES_SOURCE="mirror"), ["python"]) == {}


ARCHIVE = BaseImage(reference="x", packages=("a",), archive="x.tar.xz", archive_sha256=hashlib.sha256(b"x").hexdigest())
UNAVAILABLE = {
    "no recipe": (dataclasses.replace(ARCHIVE, packages=()), b"x", "no stand-in recipe"),
    "other bytes": (ARCHIVE, b"y", "has sha256"),
    "no file": (ARCHIVE, None, r"x\.tar\.xz is in no archive folder \(searched: archives;"),
}


@pytest.mark.parametrize("case", UNAVAILABLE)
def test_an_archive_that_is_not_the_named_one_is_refused(project: Project, case: str) -> None:
    """A stand-in is made from the file that the manifest names by hash, or from nothing."""
    base, content, reason = UNAVAILABLE[case]
    manifest = project.load(UC_BASE_ARCHIVES="archives")
    if content is not None:
        project.write("archives/x.tar.xz", content.decode())

    with pytest.raises(BaseUnavailable, match=reason):
        stand_in.find_archive(manifest, base)


def test_an_archive_is_taken_from_the_first_folder_that_has_it(project: Project) -> None:
    """A base without an archive needs none; else the folders are searched in the order of the setting."""
    manifest = project.load(UC_BASE_ARCHIVES="archives")
    project.write("archives/x.tar.xz", "x")

    assert stand_in.find_archive(manifest, ARCHIVE) == project.root / "archives/x.tar.xz"
    assert stand_in.find_archive(manifest, dataclasses.replace(ARCHIVE, archive="")) is None
