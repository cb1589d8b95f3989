"""A documentation project by the static check of docs-server: no site is built, and MkDocs is not needed."""

from __future__ import annotations

from pathlib import Path

from build import mkdocs_needs
from build.config.load import MKDOCS
from build.context_walk import root_of
from build.errors import ManifestError
from build.sources import programs
from build.sources.examination import Declared, Findings, Problem

CHECK = "docsite/static_check.py"  # in the folder of the service
_SITE = "index.html"


def examine(path: Path, service: Path) -> Findings:
    """The problems of the project at a path, by kind; `service` is the folder of docs-server."""
    root = root_of(path)
    named = next((root / name for name in MKDOCS if (root / name).is_file()), None)
    if named is None:
        return _prebuilt(root)
    checker = programs.load(service / CHECK)
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
