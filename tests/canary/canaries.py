"""The canaries: one value for each secret, found again in whatever it was encoded into."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

# In two parts, so that this file is no place where it is.
MARK = "uc-canary-" + "4be1f09d27c6-"
# Every kind of secret that a build, a push, a release or a running service is given. A new kind is a word here, and the
# place in run.py that hands it over.
KINDS = (
    "index-user", "index-password", "npm-token", "ca-comment", "modules-user", "modules-password", "git-user",
    "git-password", "registry-password", "signing-password", "runtime",
)  # fmt: skip
REGISTRY_USER = "release"
# bcrypt of the registry's password, as `htpasswd -B` writes it.
HTPASSWD = f"{REGISTRY_USER}:$2b$04$abcdefghijklmnopqrstuuH.9Yp5SKEZAT9WkZLsjwxq4okTjwKgS\n"


def value(kind: str, more: str = "") -> str:
    """The canary of a kind; `more` tells several of it apart."""
    assert kind in KINDS, kind
    return f"{MARK}{kind}{f'-{more}' if more else ''}"


def write(folder: Path, name: str, text: str) -> str:
    """Write a file with a secret, for its owner alone; its path."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


def _in_base64(text: bytes) -> Iterator[bytes]:
    """What base64 makes of a text wherever it begins: the characters that its neighbours don't change."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + text)
        yield encoded[4 if shift else 0 : len(encoded) - 4]


def needles(secret: bytes = MARK.encode()) -> dict[str, bytes]:
    """What is searched for, by how the secret is encoded: every canary, or another secret."""
    once = list(_in_base64(secret))
    twice = [inner for outer in once for inner in _in_base64(outer)]
    return {
        "as it is": secret,
        "hexadecimal": secret.hex().encode(),
        "UTF-16": secret.decode("latin-1").encode("utf-16-le"),
        **{f"base64 ({number})": text for number, text in enumerate(once)},
        **{f"base64 in base64 ({number})": text for number, text in enumerate(twice)},
    }
