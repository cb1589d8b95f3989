"""`./inv test` on the engine."""

from __future__ import annotations

from typing import Any

from tests.support.project import PYTHON, Project
from tests.support.stack import reuse_bases

NOXFILE = """\
import nox
nox.options.default_venv_backend = "none"

@nox.session
def docker(session): ...

@nox.session
def release(session): ...

@nox.session
def smoke(session): ...
"""


def test_the_bases_are_resolved_once_for_all_sessions(empty_project: Project, python_base: dict[str, Any]) -> None:
    """Two lanes and a session after them share what was resolved for the first that needs it."""
    reuse_bases(empty_project, python_base)
    empty_project.write("noxfile.py", NOXFILE)

    ran = empty_project.inv("test", "--session", "docker", "--session", "release", "--session", "smoke")

    assert ran.code == 0, ran.text
    assert ran.stderr.count(f"  {PYTHON}: ") == 1
