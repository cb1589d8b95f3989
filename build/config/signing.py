"""The types of [signing] in versions.toml: the key that releases are signed with, and those that verify them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from build.config import rules


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningSettings:
    """What signs a release and what verifies it; paths are relative to versions.toml, `~` is the home folder.

    `signer` is what makes the signatures: the toolkit itself, or the program cosign, which knows the keys of others:
    `key` is such a key, as cosign names it (awskms:///alias/release). With an `identity`, and the `issuer` that vouches
    for it, cosign signs without a key (keyless), and signatures count that it has by that identity.
    `key_file` is the private key, encrypted, and `password_file` has its password: both only where releases are made.
    `public_key` verifies a release before it is deployed. `retired` maps the public keys of before to the last day
    (YYYY-MM-DD) of a release that they signed. `required`: nothing is released or deployed without a signature.
    """

    signer: Literal["builtin", "cosign"] = "builtin"
    key: rules.KeyReference = ""
    key_file: str = ""
    password_file: str = ""
    public_key: str = ""
    retired: dict[str, rules.Day] = field(default_factory=dict)
    required: bool = False
    identity: str = ""
    issuer: str = ""


def place(root: Path, value: str) -> Path:
    """Return the file that a path of [signing] names."""
    return root / Path(value).expanduser()


def problems(root: Path, settings: SigningSettings) -> Iterator[str]:
    """Yield what is wrong with the settings beyond their types: public keys that are not there, half a private one."""
    for key, value in {
        "public_key": settings.public_key,
        **{f"retired.{name!r}": name for name in settings.retired},
    }.items():
        if value and not place(root, value).is_file():
            yield f"signing.{key}: no such file: {value}"
    if bool(settings.key_file) != bool(settings.password_file):
        missing, given = ("password_file", "key_file") if settings.key_file else ("key_file", "password_file")
        yield f"signing.{missing}: missing, and signing.{given} needs it (./inv keys.init makes both)"
    if settings.key and settings.key_file:
        yield "signing.key: signing.key_file is set too, and one key signs"
    if settings.key and settings.signer != "cosign":
        yield f'signing.key: belongs to signer = "cosign", and signing.signer is {settings.signer!r}'
    yield from _keyless_problems(settings)
    if settings.retired and not settings.public_key:
        yield "signing.public_key: missing, and signing.retired is what was used before it"


def _keyless_problems(settings: SigningSettings) -> Iterator[str]:
    others = [key for key in ("key", "key_file", "public_key") if getattr(settings, key)]
    if settings.identity and others:
        yield f"signing.identity: signing.{others[0]} is set too: a release is signed with a key or without one"
    elif settings.identity and settings.signer != "cosign":
        yield f'signing.identity: belongs to signer = "cosign", and signing.signer is {settings.signer!r}'
    elif bool(settings.identity) != bool(settings.issuer):
        missing, given = ("issuer", "identity") if settings.identity else ("identity", "issuer")
        yield f"signing.{missing}: missing, and signing.{given} needs it"
