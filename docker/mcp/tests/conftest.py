"""The fixtures; what they are made of stands in mcp_rig."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# pytest imports test files by path here, so their folder has to be put on the path for the module they share.
sys.path.insert(0, str(Path(__file__).parent))

from mcp_rig import DOCS, LoopbackPeer, LoopbackServer, Server, checkout, running, write


@pytest.fixture(scope="session")
def docs_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small documentation."""
    return write(tmp_path_factory.mktemp("docs"), DOCS)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git checkout, with a secret beside it and links that lead there."""
    return checkout(tmp_path_factory.mktemp("tree") / "workspace")


@pytest.fixture(scope="session")
def peer() -> Iterator[LoopbackPeer]:
    """A peer that records what it was asked."""
    with LoopbackServer.on() as server:
        yield server.state


@pytest.fixture(scope="session")
def servers(
    peer: LoopbackPeer, docs_tree: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    """One of each: a start costs a second, so tests that change nothing share these."""
    env = {
        "UC_DOCS": str(docs_tree),
        "UC_WORKSPACE": str(workspace),
        "POWERSHELL_URL": peer.url,
        "MONITORING_URL": peer.url,
        "UC_PEER_TIMEOUT": "1",
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(tmp_path_factory.mktemp(name), name, **env))
            for name in ("modules", "docs", "repository", "events")
        }
