"""Image references as Docker reads them, and the names that bases have in the image store and in archive folders.

The rule for the registry: distribution/reference, "normalize.go" (`splitDockerDomain`).
"""

from __future__ import annotations

import re

_LOCAL = "uc-base/"


def full_name(reference: str) -> str:
    """The reference with its registry, as Docker completes it: docker.io/library/python:3.12 for python:3.12."""
    if _host(reference):
        return reference
    return f"docker.io/{reference}" if "/" in reference else f"docker.io/library/{reference}"


def _host(reference: str) -> str:
    """The registry that a reference names, "" when it names none; without a slash, a colon starts a tag."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def path(reference: str) -> str:
    """The reference without its registry, as a mirror has it: dotnet/sdk:9.0 for mcr.microsoft.com/dotnet/sdk:9.0."""
    return reference.removeprefix(f"{_host(reference)}/")


def local_name(reference: str) -> str:
    """The name of a base in the engine's image store: uc-base/dotnet/sdk:9.0 for mcr.microsoft.com/dotnet/sdk:9.0."""
    return f"{_LOCAL}{path(reference)}"


def archive_name(reference: str) -> str:
    """The file name, without its suffix, of a base in an archive folder: dotnet_sdk_9.0 for …/dotnet/sdk:9.0."""
    return re.sub(r"[/:]", "_", path(reference))


def tagged(name: str) -> str:
    """The name with its tag, as the engine lists it: registry:latest for registry."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
