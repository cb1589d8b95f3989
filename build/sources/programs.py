"""Checks that services make in their own builds, as modules: loaded by their path, because services are no packages."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


@functools.cache
def load(path: Path) -> ModuleType:
    """The module in a file. Raises FileNotFoundError if there is none."""
    name = f"service_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
