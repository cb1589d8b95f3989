"""Checkov in an environment of its own, made once from its lock and kept beside the reports."""

from __future__ import annotations

import hashlib
import os
import venv
from pathlib import Path

from build.config.workspace import Workspace
from build.errors import BuildError
from build.machine.installer import Installer
from tests.support.machine import lacking
from tests.support.project import REPOSITORY

_LOCK = REPOSITORY / "tests/deploy/checkov.txt"
_FOLDER = REPOSITORY / ".uc/checkov"


def program() -> Path:
    """The program; skips the test if it can't be installed, fails it if CI=true."""
    lock = _LOCK.read_text(encoding="utf-8")
    python = _FOLDER / "bin/python"
    stamp = _FOLDER / hashlib.sha256(lock.encode()).hexdigest()
    if not stamp.exists():
        workspace = Workspace(_FOLDER / "setup")
        workspace.setup_log.parent.mkdir(parents=True, exist_ok=True)
        workspace.setup_log.write_bytes(b"")
        venv.create(_FOLDER, symlinks=os.name != "nt", clear=False)
        try:
            Installer(python=python, workspace=workspace).synchronise({_LOCK.name: lock})
        except BuildError as error:
            lacking(f"checkov can't be installed: {error}\n{error.output}")
        stamp.touch()
    return python.with_name("checkov")
