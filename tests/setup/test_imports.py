"""The library as Windows would load it."""

from __future__ import annotations

import subprocess
import sys

from tests.support.posix import LACKING, LIBRARY, MODULES
from tests.support.project import REPOSITORY

PROGRAM = f"""
import importlib, sys

def load():
    for name in sys.argv[1:]:
        importlib.import_module(name)

load()  # with it, all that it imports of others
for name in [name for name in sys.modules if name.partition(".")[0] in {{"build", "tasks", "noxfile", "inv"}}]:
    del sys.modules[name]
for module, names in {LACKING}.items():
    for name in names.split():
        vars(importlib.import_module(module)).pop(name, None)
for name in {MODULES!r}.split():
    sys.modules[name] = None  # an import of it is an ImportError
sys.platform = "win32"
load()
"""


def test_w2_every_module_is_imported_without_posix() -> None:
    """With all that Windows lacks taken away, and in its name, every module of the library still loads."""
    relative = [path.relative_to(REPOSITORY).with_suffix("") for path in LIBRARY]
    names = [".".join(path.parts).removesuffix(".__init__") for path in relative]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(names) > 100
