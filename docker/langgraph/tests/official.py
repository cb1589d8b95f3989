"""The official server (langgraph-api, under the Elastic licence): an oracle and a peer for tests, never shipped.

usage: official.py FOLDER      installs it into FOLDER, prints its URL, and serves the tests' graphs until stdin ends
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from langgraph_harness import HERE, PLUGINS, free_port

RELEASE = "langgraph-api==0.16.7"
_PACKAGES = (RELEASE, "langgraph-cli[inmem]==0.4.40")
_GRAPHS = {
    "probe": "./probe_graph.py:build",
    "gate": "./gate_graph.py:build",
    "chat": "./chat_graph.py:build",
    "nested": "./nested_graph.py:graph",
    "panel": "./panel_graph.py:build",
    "odd": "./odd_graph.py:build",
    "context": "./context_graph.py:build",
    "bare": "./context_graph.py:build_bare",
}
# The engine is what the answers come from; the official server has wishes of its own for the rest.
_PIN = re.compile(r"^(lang[a-z-]+==[^ \\]+)", re.MULTILINE)


def install(folder: Path) -> Path:
    """Its `langgraph` command, in a new virtual environment with the engine of the service's own lock."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pins = folder / "pins.txt"
    pins.write_text("\n".join(_PIN.findall((HERE.parent / "requirements.txt").read_text("utf-8"))))
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--constraint", str(pins), *_PACKAGES], check=True)
    return folder / "bin" / "langgraph"


@contextmanager
def serving(command: Path) -> Iterator[str]:
    """The URL of a server that `command` (an installed `langgraph`) runs with the graphs of the tests."""
    with tempfile.TemporaryDirectory() as name:
        graphs = Path(name, "graphs")
        shutil.copytree(PLUGINS, graphs)
        (graphs / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": _GRAPHS}))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        arguments = ["dev", "--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port)]
        environment = {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "LANGSMITH_TRACING": "false"}
        server = subprocess.Popen([str(command), *arguments], cwd=graphs, env=environment, stdout=subprocess.DEVNULL)
        try:
            _await(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(30)


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


if __name__ == "__main__":
    with serving(install(Path(sys.argv[1]))) as address:
        print(address, flush=True)  # noqa: T201 - the answer of the program
        sys.stdin.read()
