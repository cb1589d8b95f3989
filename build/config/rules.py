"""What a value of versions.toml must be beyond its type: rules that the types carry, for the reader and the schema.

A rule stands in an annotation, `port: Port`. The reader reports what breaks it (`problems`), and the JSON Schema that
editors read has the same words and bounds (`Rule.keywords`).
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import Annotated, Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What a value must be: `expected` in words, the rest as JSON Schema has it.

    `pattern` is matched by the whole of a string; it is written in what Python and ECMAScript read alike. `reserved`
    are strings that are refused, each with what it is reserved for.
    """

    expected: str = ""
    pattern: str = ""
    minimum: int | None = None
    maximum: int | None = None
    is_date: bool = False
    reserved: tuple[tuple[str, str], ...] = ()

    def problem(self, value: Any) -> str:
        """Say what is wrong with a value of the right type; "" if nothing is."""
        if reason := dict(self.reserved).get(value):
            return f"the name is reserved for {reason}"
        return "" if self._fits(value) else f"expected {self.expected}, found {value!r}"

    def _fits(self, value: Any) -> bool:
        if self.minimum is not None and value < self.minimum:
            return False
        if self.maximum is not None and value > self.maximum:
            return False
        return (not self.pattern or re.fullmatch(self.pattern, value) is not None) and (
            not self.is_date or _is_date(value)
        )

    @property
    def keywords(self) -> dict[str, Any]:
        """The rule as keywords of JSON Schema."""
        given = {
            "pattern": f"^(?:{self.pattern})$" if self.pattern else None,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "format": "date" if self.is_date else None,
            "not": {"enum": [name for name, _ in self.reserved]} if self.reserved else None,
        }
        return {key: value for key, value in given.items() if value is not None}


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# A component of a repository's name (OCI distribution specification, "Pulling manifests").
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_NUMBER = "(?:0|[1-9][0-9]*)"

Name = Annotated[
    str,
    Rule(
        expected="lower-case letters and digits, with single . _ - between them",
        pattern="[a-z0-9]+(?:[._-][a-z0-9]+)*",
    ),
    Rule(reserved=(("release", "release records"), ("uc-probe", "probes"), ("trivy-db", "the vulnerability database"))),
]
Text = Annotated[str, Rule(expected="a text", pattern=r"[^\n]*[^\s][^\n]*")]
FirstVersion = Annotated[str, Rule(expected="a version as X.Y.Z", pattern=rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")]
ToolVersion = Annotated[
    str, Rule(expected="numbers with dots between them, such as 24.0", pattern=r"[0-9]+(?:\.[0-9]+)*")
]
RegistryAddress = Annotated[
    str,
    Rule(
        expected="HOST or HOST:PORT, with a port between 1 and 65535, no https:// and no path",
        pattern=rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::{_PORT})?",
    ),
]
OptionalAddress = Annotated[
    str,
    Rule(
        expected="HOST or HOST:PORT, with a port between 1 and 65535, no https:// and no path",
        pattern=rf"(?:(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::{_PORT})?)?",
    ),
]
Namespace = Annotated[
    str,
    Rule(
        expected="lower-case letters and digits, with . _ - or / between them",
        pattern=f"{_COMPONENT}(?:/{_COMPONENT})*",
    ),
]
Digest = Annotated[str, Rule(expected="sha256: and 64 hex digits", pattern="(?:sha256:[0-9a-f]{64})?")]
Sha256 = Annotated[str, Rule(expected="64 hex digits", pattern="(?:[0-9a-f]{64})?")]
Hash = Annotated[str, Rule(expected="64 hex digits", pattern="[0-9a-f]{64}")]
# As Trivy's releases name them, in their archives' names.
TRIVY_SYSTEMS = ("Linux-64bit", "Linux-ARM64", "macOS-64bit", "macOS-ARM64", "windows-64bit", "windows-ARM64")
TrivySystem = Annotated[str, Rule(expected=f"one of {', '.join(TRIVY_SYSTEMS)}", pattern="|".join(TRIVY_SYSTEMS))]
TrivyMirror = Annotated[
    str, Rule(expected="an http(s) address with {system} in it", pattern=r"(?:https?://\S*\{system\}\S*)?")
]
Day = Annotated[str, Rule(expected="a date as YYYY-MM-DD", pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}", is_date=True)]
# As cosign names a key elsewhere. A key in a variable or at a web address is none that anybody guards.
KeyReference = Annotated[
    str,
    Rule(
        expected="PROVIDER://NAME as cosign has it, such as awskms:///alias/release, without a user or password",
        pattern=r"(?:(?!(?:env|file|https?):)[a-z][a-z0-9]*://[^\s@]+)?",
    ),
]
Port = Annotated[int, Rule(expected="a port between 1 and 65535", minimum=1, maximum=65535)]
PortOrZero = Annotated[int, Rule(expected="a port between 1 and 65535, or 0", minimum=0, maximum=65535)]
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IpAddress = Annotated[
    str,
    Rule(expected="an IP address", pattern=rf"(?:{_OCTET}(?:\.{_OCTET}){{3}}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)"),
]
MountSource = Annotated[str, Rule(expected="an absolute path or volume:NAME", pattern=r"(?:/\S*|volume:\S+)")]
ProjectName = Annotated[
    str,
    Rule(expected="lower-case letters and digits, with single - between them", pattern="(?:[a-z0-9]+(?:-[a-z0-9]+)*)?"),
]
Positive = Annotated[int, Rule(expected="a number of at least 1", minimum=1)]
Seconds = Annotated[int, Rule(expected="a number of seconds, or 0", minimum=0)]
Context = Annotated[str, Rule(expected="stage:NAME or source:NAME", pattern="(?:stage|source):.+")]
Need = Annotated[str, Rule(expected="KIND:NAME, such as module:Name", pattern=r"[a-z]+:\S.*")]
Memory = Annotated[
    str, Rule(expected="a size such as 512m or 1g", pattern=r"[1-9][0-9]*(?:\.[0-9]+)?(?:[bB]|[kmgKMG][bB]?)?")
]
Cpus = Annotated[
    str, Rule(expected="a number of CPUs such as 0.5", pattern=r"(?:0\.[0-9]*[1-9][0-9]*|[1-9][0-9]*(?:\.[0-9]+)?)")
]
Method = Annotated[str, Rule(expected="an HTTP method in capitals", pattern="[A-Z]+")]
UrlPath = Annotated[str, Rule(expected="a path that begins with /", pattern=r"/[^\s]*")]
Status = Annotated[int, Rule(expected="an HTTP status between 100 and 599", minimum=100, maximum=599)]


@cache
def hints(kind: Any) -> Mapping[str, Any]:
    """The annotations of a dataclass with their rules."""
    return typing.get_type_hints(kind, include_extras=True)


@cache
def _ruled(hint: Any) -> bool:
    """Whether a value of this type, or a part of it, has a rule."""
    parts = hints(hint).values() if hasattr(hint, "__dataclass_fields__") else typing.get_args(hint)
    return typing.get_origin(hint) is Annotated or any(map(_ruled, parts))


@cache
def _ruled_keys(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, hint) for name, hint in hints(kind).items() if _ruled(hint))


def problems(value: Any, hint: Any, path: str = "") -> Iterator[str]:
    """Yield what breaks a rule in a value of the type `hint`, each with its path."""
    if not _ruled(hint):
        return
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        hint, *rules = arguments
        yield from (f"{path}: {problem}" for rule in rules if (problem := rule.problem(value)))
        yield from problems(value, hint, path)
    elif hasattr(hint, "__dataclass_fields__"):
        for name, kind in _ruled_keys(hint):
            yield from problems(getattr(value, name), kind, f"{path}.{name}" if path else name)
    elif origin is tuple:
        for position, item in enumerate(value):
            yield from problems(item, arguments[0], f"{path}[{position}]")
    elif origin is dict:
        for key, item in value.items():
            yield from problems(key, arguments[0], f"{path}.{key}")
            yield from problems(item, arguments[1], f"{path}.{key}")
