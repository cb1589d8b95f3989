"""Package URLs: what package a component of a bill of materials is, and which version of it.

PURL 1.0 (ECMA-427), "How to parse a PURL": https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

_TYPE = re.compile(r"[a-z][a-z0-9.-]*")
# Types whose names are the same in whatever case (purl-spec, types/*-definition.json, "case_sensitive").
_CASELESS = {"alpm", "apk", "bitbucket", "composer", "deb", "github", "hex", "oci", "pub", "pypi"}
_PYPI = re.compile("[-_.]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Purl:
    """The parts of a package URL that say what it is; `version` has the epoch of a distribution's package in front.

    Type, namespace and name are the package; where it is from and what for (qualifiers, subpath) are not.
    """

    type: str
    namespace: str
    name: str
    version: str

    @property
    def identity(self) -> str:
        """The package as a package URL without a version."""
        parts = (quote(self.namespace, safe="/:"), quote(self.name, safe=":"))
        return "/".join([f"pkg:{self.type}", *filter(None, parts)])

    @property
    def full_name(self) -> str:
        """Namespace and name, as its own package manager calls it."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def parse(text: str) -> Purl | None:
    """The parts of a package URL; None for what is none."""
    rest, _, _ = text.partition("#")
    rest, _, qualifiers = rest.partition("?")
    scheme, colon, rest = rest.partition(":")
    kind, slash, rest = rest.lstrip("/").partition("/")
    kind = kind.lower()
    if scheme.lower() != "pkg" or not colon or not slash or not _TYPE.fullmatch(kind):
        return None
    before, at, version = rest.rpartition("@")
    if not at or not before:  # without a name before it, an @ begins a scope of npm that is not encoded
        before, version = rest, ""
    parts = [unquote(part) for part in before.split("/") if part]
    if not parts:
        return None
    if kind in _CASELESS:
        parts = [part.lower() for part in parts]
    name = _PYPI.sub("-", parts[-1]) if kind == "pypi" else parts[-1]
    epoch = dict(parse_qsl(qualifiers)).get("epoch", "")
    version = unquote(version)
    return Purl(
        type=kind, namespace="/".join(parts[:-1]), name=name, version=f"{epoch}:{version}" if epoch else version
    )
