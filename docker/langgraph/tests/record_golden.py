"""Record golden/ anew from the official server: `python record_golden.py [--server COMMAND] [TOPIC...]`.

It runs in the service's environment. The official server goes into a folder that is removed again. COMMAND is a `langgraph`
that is installed already.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import tempfile
from pathlib import Path

from golden_rig import record
from langgraph_sdk import get_client
from official import install, serving

TOPICS = {
    "sdk": "test_golden",
    "panel": "test_golden_panel",
    "values": "test_golden_values",
    "context": "test_golden_context",
    "cancel": "test_golden_cancel",
    "parameters": "test_golden_parameters",
    "routes": "test_golden_routes",
}


async def _record(url: str, topics: list[str]) -> None:
    for topic in topics:
        async with get_client(url=url) as client:
            await record(client, topic, importlib.import_module(TOPICS[topic]).SCENARIOS)


def main() -> None:
    """Install, start, record, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", type=Path, help="an installed `langgraph` command")
    parser.add_argument("topics", nargs="*", default=list(TOPICS), help="what to record; everything by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serving(given.server or install(Path(name, "venv"))) as url:
        asyncio.run(_record(url, given.topics))


if __name__ == "__main__":
    main()
