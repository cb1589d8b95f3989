"""Configurations of MCP clients: every server is in each, the token by reference, and a request made by them comes in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from build.config.load import load
from build.config.manifest import Manifest
from build.errors import ManifestError, SecretError, UsageError
from build.stack import mcp_clients
from tests.support.project import REPOSITORY, Project

TOKEN = "s3cret-" + "t0ken"
CHECK = """
[[services.many.smoke]]
name = "tools"
kind = "mcp"
path = "/mcp"
secret = "alpha"

[services.many.containers.mcp-docs]
published = {port}
[services.many.containers.mcp-events]
published = 18902
"""
# What VS Code's own schema of mcp.json demands, as far as it is used here: src/vs/workbench/contrib/mcp/common/
# mcpConfiguration.ts and services/configurationResolver/common/configurationResolverSchema.ts of microsoft/vscode.
VSCODE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "servers": {
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["url"],
                "properties": {
                    "type": {"enum": ["http", "sse"]},
                    "url": {"type": "string", "pattern": "^https?://.+"},
                    "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            }
        },
        "inputs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "id", "description"],
                "properties": {
                    "type": {"enum": ["promptString"]},
                    "id": {"type": "string"},
                    "description": {"type": "string"},
                    "password": {"type": "boolean"},
                },
            },
        },
    },
}


class _Gate(BaseHTTPRequestHandler):
    """Answers as a server of ours answers a first request: 200 with the token, 401 without."""

    def do_POST(self) -> None:
        """Read the request, and judge its token."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if self.headers["authorization"] == f"Bearer {TOKEN}" else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the output of tests short."""


@contextmanager
def _gate() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Gate) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _manifest(project: Project, port: int = 18901, token: str = TOKEN) -> Manifest:
    """A project with two MCP servers and a token, in a folder whose name needs quoting in a shell."""
    project.service("many", 8000)
    project.append(CHECK.format(port=port))
    manifest = load(project.root, {})
    manifest.workspace.secrets.mkdir(parents=True)
    if token:
        (manifest.workspace.secrets / "alpha").write_text(f"{token}\nthe old one\n")
    return manifest


def _servers(result: mcp_clients.Configuration) -> dict[str, Any]:
    servers: dict[str, Any] = result.configuration.get("mcpServers") or result.configuration["servers"]
    return servers


@pytest.fixture
def quoted(project: Project, tmp_path: Path) -> Project:
    folder = tmp_path / "it's a $HOME"
    project.root.rename(folder)
    return Project(folder)


@pytest.mark.parametrize("client", mcp_clients.CLIENTS)
def test_s11_every_server_is_in_it_and_no_token(project: Project, client: str) -> None:
    """Each container that speaks MCP has an entry with its published port; the token itself is nowhere."""
    manifest = _manifest(project)
    result = mcp_clients.configuration(manifest, client, windows=False)
    name = manifest.project.name

    assert list(_servers(result)) == [f"{name}-docs", f"{name}-events"]
    text = json.dumps(result.configuration)
    assert "http://127.0.0.1:18901/mcp" in text
    assert "http://127.0.0.1:18902/mcp" in text
    assert TOKEN not in text + "".join(result.notes)


@pytest.mark.parametrize("client", mcp_clients.CLIENTS)
def test_s11_the_stack_has_four_servers(client: str) -> None:
    """Of this repository's own manifest each client gets all four, under names that every client allows."""
    manifest = load(REPOSITORY, {}, local=False)
    servers = _servers(mcp_clients.configuration(manifest, client, windows=False))

    assert [name.rpartition("-")[2] for name in servers] == ["modules", "docs", "repository", "events"]
    assert all(re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]*", name) for name in servers)


def test_s11_vscode_fits_its_schema(project: Project) -> None:
    """VS Code's own schema takes the file; the input that the header names is there, and is not shown as it is typed."""
    result = mcp_clients.configuration(_manifest(project), "vscode", windows=False)
    Draft7Validator(VSCODE).validate(result.configuration)

    (asked,) = result.configuration["inputs"]
    assert asked["password"] is True
    assert {server["headers"]["Authorization"] for server in _servers(result).values()} == {
        f"Bearer ${{input:{asked['id']}}}"
    }


def test_s11_claude_code_reads_the_token_itself(quoted: Project) -> None:
    """The helper prints the header as JSON, whatever the folder is called; a renewed token is read at the next start."""
    with _gate() as port:
        manifest = _manifest(quoted, port)
        result = mcp_clients.configuration(manifest, "claude-code", windows=False)
        server = next(iter(_servers(result).values()))
        assert set(server) == {"type", "url", "headersHelper"}
        assert _status(server["url"], _printed(server["headersHelper"])) == 200

        (manifest.workspace.secrets / "alpha").write_text("another\n")
        assert _printed(server["headersHelper"]) == {"Authorization": "Bearer another"}


def test_s11_claude_desktop_gives_mcp_remote_the_token_by_its_environment(quoted: Project, tmp_path: Path) -> None:
    """The command starts npx with the token in a variable, and none of its words has it: other users can see those."""
    program = tmp_path / "bin/npx"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$AUTH" "$@"\n')
    program.chmod(0o755)
    result = mcp_clients.configuration(_manifest(quoted), "claude-desktop", windows=False)
    server = next(iter(_servers(result).values()))
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [server["command"], *server["args"]], env={"PATH": path}, capture_output=True, text=True, check=True
    )

    value, *words = ran.stdout.splitlines()
    assert value == f"Bearer {TOKEN}"
    assert words[:3] == ["-y", "mcp-remote", "http://127.0.0.1:18901/mcp"]
    assert words[-2:] == ["--header", "Authorization:${AUTH}"]


def test_s11_cursor_names_the_variable_that_its_note_sets(quoted: Project) -> None:
    """With the note's command run before, the variable that the header names has the token."""
    with _gate() as port:
        result = mcp_clients.configuration(_manifest(quoted, port), "cursor", windows=False)
        server = next(iter(_servers(result).values()))
        (variable,) = re.findall(r"\$\{env:(\w+)\}", server["headers"]["Authorization"])
        (note,) = result.notes
        script = f"{note.partition(': ')[2]}; printenv {variable}"
        value = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.strip()

        assert _status(server["url"], {"Authorization": f"Bearer {value}"}) == 200
        assert _status(server["url"], {"Authorization": "Bearer wrong"}) == 401


def test_s11_windows(project: Project) -> None:
    """Without a POSIX shell: a variable where the client knows them, else the token itself, with a warning beside it."""
    manifest = _manifest(project)
    code, desktop = (
        mcp_clients.configuration(manifest, client, windows=True) for client in ("claude-code", "claude-desktop")
    )

    for server in _servers(code).values():
        assert server["headers"] == {"Authorization": "Bearer ${ALPHA}"}
    for server in _servers(desktop).values():
        assert (server["command"], server["args"][:3]) == ("cmd", ["/c", "npx", "-y"])
        assert server["env"] == {"AUTH": f"Bearer {TOKEN}"}
        assert TOKEN not in " ".join(server["args"])
    assert "the token itself" in desktop.notes[0]
    assert TOKEN not in json.dumps(code.configuration)


def test_s11_refusals(project: Project) -> None:
    """An unknown client is named with the one it resembles; a token that is needed and missing, with its remedy."""
    with pytest.raises(ManifestError, match="no service has a smoke check of the kind mcp"):
        mcp_clients.configuration(load(project.root, {}), "cursor", windows=False)

    manifest = _manifest(project, token="")
    with pytest.raises(UsageError, match=r"unknown client 'vsode' \(did you mean 'vscode'\?\)"):
        mcp_clients.configuration(manifest, "vsode", windows=False)
    with pytest.raises(SecretError) as error:
        mcp_clients.configuration(manifest, "claude-desktop", windows=True)
    assert error.value.hint == "./inv secrets.init"
    assert mcp_clients.configuration(manifest, "cursor", windows=False)


def test_s11_what_is_printed_is_the_file(project: Project) -> None:
    """Stdout alone is the file; with --json it is part of the task's document. Both need no running stack."""
    _manifest(project)
    printed = project.inv("mcp.config", "vscode")
    document = project.inv("mcp.config", "--client", "vscode", "--json").result

    assert json.loads(printed.stdout) == document["configuration"]
    assert document["file"] in printed.stderr


def _printed(command: str) -> dict[str, str]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    headers: dict[str, str] = json.loads(done.stdout)
    return headers


def _status(url: str, headers: dict[str, str]) -> int:
    with httpx.Client(trust_env=False) as client:
        return client.post(url, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"}).status_code
