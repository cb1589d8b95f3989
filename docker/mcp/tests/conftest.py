"""The fixtures; what they are made of stands in mcp_rig."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# pytest imports test files by path here, so their folder has to be put on the path for the module they share.
sys.path.insert(0, str(Path(__file__).parent))

from mcp_rig import DOCS, LocalServer, LoopbackPeer, LoopbackServer, Server, checkout, elsewhere, running, write

# What asks only as a client does, and nothing of what the servers serve.
CLIENTS = {"test_clients", "test_input", "test_walk", "test_load"}


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
def local_servers(
    peer: LoopbackPeer, docs_tree: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, LocalServer]]:
    """One of each: a start costs a second, so tests that change nothing share these."""
    env = {
        "UC_DOCS": str(docs_tree),
        "UC_WORKSPACE": str(workspace),
        "REPOSITORY_ALLOW": "*.log",
        "POWERSHELL_URL": peer.url,
        "MONITORING_URL": peer.url,
        "UC_PEER_TIMEOUT": "20",
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(tmp_path_factory.mktemp(name), name, **env))
            for name in ("modules", "docs", "repository", "events")
        }


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> dict[str, Server]:
    """All four, for tests that ask as clients: those that UC_SERVICE_URL names, else our own."""
    found: dict[str, Server] = elsewhere() or request.getfixturevalue("local_servers")
    return found


@pytest.fixture(autouse=True)
def only_clients_elsewhere(request: pytest.FixtureRequest) -> None:
    """Servers that run already are asked by the client tests; the others need a process of their own."""
    if elsewhere() and request.node.path.stem not in CLIENTS:
        pytest.skip("UC_SERVICE_URL is set, and this needs servers of its own")
