"""Have the MCP inspector list and call tools: `python inspector.py FOLDER TOKEN_FILE URL...`; npm is the only need.

Each server must list its tools to the inspector's strict check, answer a call, and refuse a wrong token and none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from suites import Suites

AUTH_REQUIRED = 3


def main(folder: Path, token_file: Path, urls: list[str]) -> int:
    """Exit code 1 when one of the servers did something else."""
    suites, token, wrong = Suites(folder), token_file.read_text().split()[0], 0

    def inspect(url: str, token: str, *method: str) -> subprocess.CompletedProcess[str]:
        gate = ["--header", f"Authorization: Bearer {token}"] if token else []
        target = [url.rstrip("/") + "/mcp", "--transport", "http", *gate, "--stored-auth-only", "--method", *method]
        command = [suites.node, suites.inspector, "--cli", *target]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)

    for url in urls:
        listed = inspect(url, token, "tools/list", "--strict")
        names = [tool["name"] for tool in json.loads(listed.stdout or "{}").get("tools", [])]
        first = next((name for name in names if name.startswith("list_")), "")
        called = inspect(url, token, "tools/call", "--tool-name", first)
        refused = [inspect(url, token, "tools/list").returncode for token in ("wrong", "")]
        codes = (listed.returncode, called.returncode, *refused)
        wrong += codes != (0, 0, AUTH_REQUIRED, AUTH_REQUIRED)
        sys.stdout.write(f"{url}: {', '.join(names)}; list {codes[0]}, {first} {codes[1]}, refused {refused}\n")
        sys.stdout.write("".join(one.stderr for one in (listed, called) if one.returncode))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
