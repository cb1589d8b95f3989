"""The project whose context is compared with its commit."""

from __future__ import annotations

import pytest

from tests.support.inputs import app_of
from tests.support.project import Project


@pytest.fixture
def app(project: Project) -> Project:
    """A project whose one context has a file, a program, a link and a folder, committed and clean."""
    return app_of(project)
