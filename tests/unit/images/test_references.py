"""Image references as Docker reads them, and the names that are made from them."""

from __future__ import annotations

import pytest

from build.images import references


@pytest.mark.parametrize(
    ("reference", "full", "local", "archive"),
    [
        ("python:3.12-slim", "docker.io/library/python:3.12-slim", "uc-base/python:3.12-slim", "python_3.12-slim"),
        ("grafana/grafana:11", "docker.io/grafana/grafana:11", "uc-base/grafana/grafana:11", "grafana_grafana_11"),
        ("mcr.microsoft.com/dotnet/sdk:9.0", "mcr.microsoft.com/dotnet/sdk:9.0", "uc-base/dotnet/sdk:9.0", "dotnet_sdk_9.0"),
        ("harbor:5000/hub/python:3.12", "harbor:5000/hub/python:3.12", "uc-base/hub/python:3.12", "hub_python_3.12"),
        ("localhost:5000/hub/python:3.12", "localhost:5000/hub/python:3.12", "uc-base/hub/python:3.12", "hub_python_3.12"),
        ("localhost/python:3.12", "localhost/python:3.12", "uc-base/python:3.12", "python_3.12"),
        ("localhost:5000", "docker.io/library/localhost:5000", "uc-base/localhost:5000", "localhost_5000"),
    ],
)  # fmt: skip
def test_a_reference_is_completed_as_docker_does(reference: str, full: str, local: str, archive: str) -> None:
    """A first part is a registry or a namespace, as Docker decides it; names of our own leave the registry out."""
    assert references.full_name(reference) == full
    assert references.local_name(reference) == local
    assert references.archive_name(reference) == archive


@pytest.mark.parametrize(
    ("name", "tagged"),
    [
        ("uc-base/registry", "uc-base/registry:latest"),
        ("uc-base/python:3.12", "uc-base/python:3.12"),
        ("localhost:5000/python", "localhost:5000/python:latest"),
    ],
)
def test_a_name_without_a_tag_is_listed_as_latest(name: str, tagged: str) -> None:
    """A colon before the last slash belongs to a port, not to a tag."""
    assert references.tagged(name) == tagged
