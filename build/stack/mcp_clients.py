"""Configurations of MCP clients for the stack's MCP servers, with the token by reference wherever a client can.

Sources of the forms: code.claude.com/docs/en/mcp (headersHelper, ${NAME}), code.visualstudio.com's MCP configuration
reference and VS Code's own schema of mcp.json, cursor.com/docs/mcp (${env:NAME}), the README of mcp-remote.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.errors import ManifestError, SecretError, UsageError
from build.stack import secret_folder
from build.typed import suggest

_HEADER = "AUTH"  # the variable of mcp-remote's own process that it puts into the header


@dataclass(frozen=True, slots=True)
class Token:
    """The secret that the servers want: its name, its file, whose first line it is, and whether it is on Windows."""

    name: str
    file: Path
    windows: bool

    @property
    def variable(self) -> str:
        """The environment variable that a client is to find it in, where it can't read the file itself."""
        return self.name.upper()

    @property
    def read(self) -> str:
        """A command of a POSIX shell that prints it."""
        return f"head -n 1 {shlex.quote(str(self.file))}"

    def value(self) -> str:
        """Return it. Raises SecretError if there is none."""
        try:
            first = self.file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except FileNotFoundError:
            first = ""
        if not first:
            raise SecretError(f"{self.name} has no value yet", hint="./inv secrets.init")
        return first

    @property
    def setting(self) -> str:
        """How to set the variable, in words for the user."""
        if self.windows:
            return f"setx {self.variable} THE-TOKEN   (the first line of {self.file})"
        return f'export {self.variable}="$({self.read})"'


Urls = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What goes into which file of a client, and what else its user has to do."""

    client: str
    file: str
    configuration: dict[str, Any]
    notes: list[str]


def configuration(manifest: Manifest, client: str, *, windows: bool) -> Configuration:
    """Return a client's configuration for every MCP server of the manifest.

    Raises UsageError for an unknown client, ManifestError without an MCP server, SecretError if the token has to stand
    in the configuration and there is none.
    """
    if client not in CLIENTS:
        raise UsageError(f"unknown client '{client}'{suggest(client, CLIENTS)}", hint=f"one of {', '.join(CLIENTS)}")
    servers = dict(_servers(manifest))
    if not servers:
        raise ManifestError("no service has a smoke check of the kind mcp", hint="[[services.NAME.smoke]] kind")
    secret = next(secret for _, secret in servers.values())
    token = Token(secret, secret_folder.locate(manifest) / secret, windows)
    return CLIENTS[client]({name: url for name, (url, _) in servers.items()}, token)


def _servers(manifest: Manifest) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each container that speaks MCP, by the name that a client gives it, with its address and its secret."""
    for container, (service, settings) in manifest.containers().items():
        for check in manifest.services[service].smoke:
            if check.kind == "mcp":
                name = f"{manifest.project.name}-{container.removeprefix('mcp-')}"
                yield name, (f"http://127.0.0.1:{settings.published}{check.path}", check.secret)


def _claude_code(urls: Urls, token: Token) -> Configuration:
    """headersHelper is run at each connection, so that a renewed token needs no restart; Windows has no `head`."""
    notes = ["or one server: claude mcp add-json NAME '{…}'"]
    if token.windows:
        access: dict[str, Any] = {"headers": {"Authorization": f"Bearer ${{{token.variable}}}"}}
        notes.append(f"before it starts: {token.setting}")
    else:
        access = {"headersHelper": f"""printf '{{"Authorization": "Bearer %s"}}' "$({token.read})\""""}
    servers = {name: {"type": "http", "url": url} | access for name, url in urls.items()}
    return Configuration("claude-code", ".mcp.json in your project's root", {"mcpServers": servers}, notes)


def _claude_desktop(urls: Urls, token: Token) -> Configuration:
    """It starts programs only: mcp-remote speaks for it, and puts the variable into the header itself."""
    if token.windows:
        access = {"env": {_HEADER: f"Bearer {token.value()}"}}
        servers = {
            name: {"command": "cmd", "args": ["/c", "npx", "-y", *_remote(url)]} | access for name, url in urls.items()
        }
        note = "the token itself stands in it: keep the file to yourself"
    else:
        begin = f'{_HEADER}="Bearer $({token.read})"; export {_HEADER}; exec npx -y '
        servers = {
            name: {"command": "sh", "args": ["-c", begin + shlex.join(_remote(url))]} for name, url in urls.items()
        }
        note = "it needs Node.js: npx is on the PATH of a program that the desktop starts"
    file = "claude_desktop_config.json (Settings, Developer, Edit Config)"
    return Configuration("claude-desktop", file, {"mcpServers": servers}, [note])


def _remote(url: str) -> list[str]:
    return ["mcp-remote", url, "--transport", "http-only", "--header", f"Authorization:${{{_HEADER}}}"]


def _cursor(urls: Urls, token: Token) -> Configuration:
    headers = {"Authorization": f"Bearer ${{env:{token.variable}}}"}
    servers = {name: {"url": url, "headers": headers} for name, url in urls.items()}
    notes = [f"before it starts: {token.setting}"]
    return Configuration(
        "cursor", ".cursor/mcp.json in your project, or ~/.cursor/mcp.json", {"mcpServers": servers}, notes
    )


def _vscode(urls: Urls, token: Token) -> Configuration:
    headers = {"Authorization": f"Bearer ${{input:{token.name}}}"}
    servers = {name: {"type": "http", "url": url, "headers": headers} for name, url in urls.items()}
    asked = {
        "type": "promptString", "id": token.name, "password": True,
        "description": f"The first line of {token.file}",
    }  # fmt: skip
    notes = ["it asks for the token once, and keeps it in its secret storage"]
    return Configuration("vscode", ".vscode/mcp.json in your project", {"inputs": [asked], "servers": servers}, notes)


CLIENTS: dict[str, Callable[[Urls, Token], Configuration]] = {
    "claude-code": _claude_code,
    "claude-desktop": _claude_desktop,
    "cursor": _cursor,
    "vscode": _vscode,
}
