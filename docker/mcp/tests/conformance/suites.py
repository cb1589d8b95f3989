"""Installs the official suites, the inspector and their Node, hash-locked, in a folder of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Suites:
    """What npm has put into a folder; npm itself is the only need."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lock = "package-lock.json"
        modules = folder / "node_modules"
        if not modules.is_dir() or (folder / lock).read_bytes() != (HERE / lock).read_bytes():
            for name in ("package.json", lock):
                shutil.copy(HERE / name, folder)
            subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        self.node = str(modules / "node" / "bin" / "node")
        self.frozen = str(modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js")
        self.stable = str(modules / "conformance-stable" / "dist" / "index.js")
        self.inspector = str(modules / ".bin" / "mcp-inspector")
