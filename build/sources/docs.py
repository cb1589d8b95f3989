"""A documentation project by the static check of docs-server: no site is built, and MkDocs is not needed."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from build import mkdocs_needs
from build.config.load import MKDOCS
from build.errors import ManifestError
from build.sources.examination import Declared, Findings, Problem

CHECK = "docsite/static_check.py"  # in the folder of the service
_SITE = "index.html"


def examine(path: Path, service: Path) -> Findings:
    """The problems of the project at a path, by kind; `service` is the folder of docs-server."""
    root = path.parent if path.is_file() else path
    named = next((root / name for name in MKDOCS if (root / name).is_file()), None)
    if named is None:
        return _prebuilt(root)
    checker = _checker(service / CHECK)
    try:
        problems = [Problem(kind=problem.kind, text=problem.text) for problem in checker.check(root)]
        if path.is_file():
            problems += _outside(path)
    except (checker.ConfigUnreadable, ManifestError) as error:
        return Findings(problems=[Problem(kind="unreadable", text=str(error), fix=f"correct {named.name}", stops=True)])
    return Findings(declared=[Declared(kind="site", name=named.name)], problems=problems)


def _prebuilt(root: Path) -> Findings:
    if (root / _SITE).is_file():
        return Findings(declared=[Declared(kind="site", name=f"{_SITE}, which another tool has built")])
    text = f"neither {MKDOCS[0]} nor {_SITE} in {root.name}/"
    fix = f"name the {MKDOCS[0]} itself, or the folder of a site that is built"
    return Findings(problems=[Problem(kind="no site", text=text, fix=fix, stops=True)])


def _outside(path: Path) -> list[Problem]:
    """What an mkdocs.yml names and a build can't send, because it is not beside it."""
    needs = mkdocs_needs.needs(path)
    return [
        Problem(kind="outside", text=f"{path.name} names {name}, which is not in its folder", fix="move it there")
        for name in needs.outside
    ]


@functools.cache
def _checker(path: Path) -> ModuleType:
    """The check of the service, which is a program of its own: loaded by its path."""
    name = "docsite_static_check"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
