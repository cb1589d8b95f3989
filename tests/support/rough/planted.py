"""The secrets of the rough tree: in each place where real repositories have them, every value once.

The forms are put together from parts: a scanner of this repository, and the filter itself, would else stop at this file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret value and the file that has it; no other file does. `data` is the value as the file's bytes have it."""

    path: str
    value: str
    content: bytes
    data: bytes


def canary(label: str) -> str:
    """36 hex digits that stand for a secret value: the same in each tree, and nowhere else."""
    return hashlib.sha256(f"rough tree: {label}".encode()).hexdigest()[:36]


def _named(path: str, before: str = "", after: str = "\n") -> Planted:
    value = canary(path)
    return Planted(path, value, f"{before}{value}{after}".encode(), value.encode())


def _private_key(path: str, before: str = "") -> Planted:
    """A block as RFC 7468 has it; its body is no key."""
    label = "PRIVATE " + "KEY-----"
    lines = [hashlib.sha512(f"{path} {number}".encode()).hexdigest()[:64] for number in range(6)]
    value = canary(path)
    body = "\n".join([*lines[:3], value + lines[3][36:], *lines[4:]])
    text = f"{before}-----BEGIN {label}\n{body}\n-----END {label}\n"
    return Planted(path, value, text.encode(), value.encode())


def _utf16(path: str, before: str, after: str) -> Planted:
    """What Windows PowerShell's Out-File writes."""
    value = canary(path)
    return Planted(path, value, f"{before}{value}{after}".encode("utf-16"), value.encode("utf-16-le"))


_GITHUB = "gh" + "p_"
_NPM = "np" + "m_"
PLANTED: tuple[Planted, ...] = (
    *(_named(f"{folder}.env", "ORCHARD_API_KEY=") for folder in ("", "Modules/", "agents/", "docs/")),
    _named("agents/.env.production", "OPENAI_API_KEY="),
    *(_named(path) for path in ("token.txt", "Modules/Orchard-Store/token.txt", "docs/token.txt")),
    _named("agents/ledger/api_key"),
    _named("deploy/secrets.yaml", "database:\n  password: "),
    _private_key("deploy/id_ed25519"),
    _private_key("Modules/Orchard-Paths/server.pem"),
    _private_key("docs/guide/howto.md", "# How to log in\n\nPut this into your agent:\n\n"),
    _named(".npmrc", f"//registry.npmjs.org/:_authToken={_NPM}"),
    _named("docs/.npmrc", f"//registry.npmjs.org/:_authToken={_NPM}"),
    _named("agents/.netrc", "machine orchard.example login ada password "),
    _named("Modules/Orchard-Dates/release-notes.txt", f"curl -H 'Authorization: token {_GITHUB}", "'\n"),
    _utf16("Modules/Orchard-Text/settings.json", f'{{"token": "{_GITHUB}', '"}\r\n'),
    _named("agents/langgraph-env/lib/python3.12/site-packages/orchard_client/settings.py", "TOKEN = '", "'\n"),
    _named("py311/lib/python3.11/site-packages/orchard_client/settings.py", "TOKEN = '", "'\n"),
    _named("node_modules/orchard-client/settings.js", "module.exports = '", "'\n"),
    _named("docs/node_modules/orchard-theme/settings.js", "module.exports = '", "'\n"),
)


def files() -> dict[str, bytes]:
    """The files that have a secret, by their path."""
    return {planted.path: planted.content for planted in PLANTED}


def around() -> dict[str, str]:
    """What stands beside secrets and must stay: templates and public halves; and the rest of the installed packages."""
    return {
        ".env.example": "ORCHARD_API_KEY=\n",
        "agents/.env.example": "OPENAI_API_KEY=\n",
        "deploy/id_ed25519.pub": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrchard ada@orchard.example\n",
        "agents/langgraph-env/pyvenv.cfg": "home = /usr/bin\nversion = 3.12.3\n",
        "agents/langgraph-env/bin/activate": "VIRTUAL_ENV=/home/ada/orchard/agents/langgraph-env\n",
        "agents/langgraph-env/lib/python3.12/site-packages/orchard_client/__init__.py": "",
        "py311/pyvenv.cfg": "home = /opt/python\nversion = 3.11.9\n",
        "py311/lib/python3.11/site-packages/orchard_client/__init__.py": "",
        "node_modules/orchard-client/package.json": '{"name": "orchard-client", "version": "1.0.0"}\n',
        "docs/node_modules/orchard-theme/package.json": '{"name": "orchard-theme", "version": "1.0.0"}\n',
        "docs/node_modules/orchard-theme/README.md": "# A theme\n\n[Nowhere](nowhere.md)\n",
    }
