"""The names of base images, and where they come from as far as no engine has to be asked."""

from __future__ import annotations

import dataclasses

import pytest

from build import json_file
from build.images import bases, build, references
from tests.support.project import Project


@pytest.mark.parametrize(
    ("reference", "full", "local"),
    [
        ("python:3.12-slim", "docker.io/library/python:3.12-slim", "uc-base/python:3.12-slim"),
        ("grafana/grafana:11", "docker.io/grafana/grafana:11", "uc-base/grafana/grafana:11"),
        ("mcr.microsoft.com/dotnet/sdk:9.0", "mcr.microsoft.com/dotnet/sdk:9.0", "uc-base/dotnet/sdk:9.0"),
        ("harbor:5000/hub/python:3.12", "harbor:5000/hub/python:3.12", "uc-base/hub/python:3.12"),
        ("localhost:5000/hub/python:3.12", "localhost:5000/hub/python:3.12", "uc-base/hub/python:3.12"),
        ("localhost/python:3.12", "localhost/python:3.12", "uc-base/python:3.12"),
        ("localhost:5000", "docker.io/library/localhost:5000", "uc-base/localhost:5000"),
    ],
)
def test_a_reference_is_completed_as_docker_does(reference: str, full: str, local: str) -> None:
    """A build asks the registry that was looked in: a first part is a host or a namespace, a bare name the library's."""
    assert references.full_name(reference) == full
    assert references.local_name(reference) == local


def test_a_planned_build_resolves_no_base(project: Project) -> None:
    """A dry run makes no stand-in and asks no registry: what is not known yet has its upstream name, in every service."""
    project.service("api", 18981, "FROM python:3.12-slim\n", bases='["python"]')
    manifest = project.load(UC_BASES_SOURCE="archive")

    before = build.preview(manifest, ["api"])["target"]["api"]["contexts"]
    unwritten = not (manifest.workspace.bases).exists()
    known = bases.planned(manifest, ["python"])["python"]
    record = {"source": "archive", "context": "docker-image://uc-base/python:3.12-slim", "digest": "sha256:1"}
    json_file.write(manifest.workspace.bases, {"python": {**dataclasses.asdict(known), **record}})
    after = build.preview(manifest, ["api"])["target"]["api"]["contexts"]

    assert unwritten
    assert before == {"python:3.12-slim": "docker-image://docker.io/library/python:3.12-slim"}
    assert after == {"python:3.12-slim": "docker-image://uc-base/python:3.12-slim"}
