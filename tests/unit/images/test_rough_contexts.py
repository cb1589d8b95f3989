"""The rough tree as build contexts: what a builder is sent has no secret of it, and everything that is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from build.git.inputs import Inputs
from build.images import staging
from build.images.bake_file import BakeFile
from build.images.contents import Reader
from tests.support import rough_tree
from tests.support.project import Project
from tests.support.rough_tree import RoughTree

_OWN = ("agents/ledger/graph.py", "agents/.env.example", "docs/index.md", "mkdocs.yml", "deploy/id_ed25519.pub")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> RoughTree:
    return rough_tree.write(tmp_path_factory.mktemp("rough") / "orchard")


@pytest.mark.parametrize("source", [".", "Modules", "agents", "docs"])
def test_s2_no_secret_of_a_rough_tree_is_sent(project: Project, tree: RoughTree, source: str) -> None:
    """Each secret's own file stays behind, whichever folder is the source; the modules, graphs and pages are sent."""
    folder = tree.root / source
    reader = Reader(Inputs())
    reader.contents(folder)
    bake_file: BakeFile = {
        "group": {"default": {"targets": ["web"]}},
        "target": {"web": {"context": str(folder), "dockerfile": "", "contexts": {}, "secret": []}},
    }
    copy = Path(staging.staged(project.load(), bake_file, reader.left_out)["target"]["web"]["context"])
    files = {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    assert [(path, secret.path) for path, data in files.items() for secret in rough_tree.leaks(data)] == []
    assert not any("langgraph-env" in path or "node_modules" in path for path in files)
    own = [tree.root / path for path in _OWN]
    own += [tree.root / "Modules" / path for module in tree.modules for path in module.files]
    assert {path.relative_to(folder).as_posix() for path in own if path.is_relative_to(folder)} <= set(files)
