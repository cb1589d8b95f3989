"""A documentation project by the static check of docs-server: no site is built."""

from __future__ import annotations

from pathlib import Path

from build.sources.examination import Findings

CHECK = "docsite/static_check.py"  # in the folder of the service


def examine(path: Path, service: Path) -> Findings:
    """The problems of the project at a path, by kind."""
    return Findings()
