"""Record golden/ anew from the official server: `python record_golden.py [--server COMMAND] [TOPIC...]`.

It runs in the service's environment. The official server (langgraph-api, under the Elastic licence) is an oracle for these
tests and is never shipped: it goes into a folder that is removed again, at the versions below, beside the engine of the
service's own lock. COMMAND is a `langgraph` that is installed already.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from golden_rig import record
from langgraph_harness import HERE, PLUGINS, free_port
from langgraph_sdk import get_client

OFFICIAL = ("langgraph-api==0.16.7", "langgraph-cli[inmem]==0.4.40")
GRAPHS = {
    "probe": "./probe_graph.py:build",
    "gate": "./gate_graph.py:build",
    "chat": "./chat_graph.py:build",
    "nested": "./nested_graph.py:graph",
    "panel": "./panel_graph.py:build",
    "odd": "./odd_graph.py:build",
    "context": "./context_graph.py:build",
    "bare": "./context_graph.py:build_bare",
}
TOPICS = {
    "sdk": "test_golden",
    "panel": "test_golden_panel",
    "values": "test_golden_values",
    "context": "test_golden_context",
    "cancel": "test_golden_cancel",
    "parameters": "test_golden_parameters",
    "routes": "test_golden_routes",
}
# The engine is what the answers come from; the official server has wishes of its own for the rest.
_PIN = re.compile(r"^(lang[a-z-]+==[^ \\]+)", re.MULTILINE)


def _install(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pins = folder / "pins.txt"
    pins.write_text("\n".join(_PIN.findall((HERE.parent / "requirements.txt").read_text("utf-8"))))
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--constraint", str(pins), *OFFICIAL], check=True)
    return folder / "bin" / "langgraph"


def _await(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while server.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/ok", timeout=2).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"the official server did not start (exit {server.poll()})")


async def _record(url: str, topics: list[str]) -> None:
    for topic in topics:
        async with get_client(url=url) as client:
            await record(client, topic, importlib.import_module(TOPICS[topic]).SCENARIOS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", type=Path, help="an installed `langgraph` command")
    parser.add_argument("topics", nargs="*", default=list(TOPICS), help="what to record; everything by default")
    return parser.parse_args()


def main() -> int:
    """Install, start, record, stop."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = given.server or _install(folder / "venv")
        graphs = folder / "graphs"
        shutil.copytree(PLUGINS, graphs)
        (graphs / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": GRAPHS}))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        arguments = ["dev", "--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port)]
        environment = {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "LANGSMITH_TRACING": "false"}
        server = subprocess.Popen([str(command), *arguments], cwd=graphs, env=environment, stdout=subprocess.DEVNULL)
        try:
            _await(url, server)
            asyncio.run(_record(url, given.topics))
        finally:
            server.terminate()
            server.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
