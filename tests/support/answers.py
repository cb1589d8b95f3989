"""Answers of a registry that is played by the proxy's rules."""

from __future__ import annotations

import json
from collections.abc import Callable

from build.registry.oci import digest_of
from tests.support.policies import ALWAYS
from tests.support.proxy import Answer, Request, Rule

JSON = {"Content-Type": "application/json"}
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = b'{"schemaVersion":2,"manifests":[]}'
DIGEST = digest_of(MANIFEST)
PAGE = Answer(200, {"Content-Type": "text/html"}, b"<html>log in to this network</html>")
Act = Callable[[Request], Answer]


def always(pattern: str, answer: Answer | Act) -> Rule:
    """A rule for every matching request."""
    return Rule(pattern, answer if callable(answer) else lambda _request: answer, times=ALWAYS)


def found(content: bytes = MANIFEST, **headers: str) -> Answer:
    """A manifest under its digest."""
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return Answer(200, {"Content-Type": INDEX, "Docker-Content-Digest": digest_of(content)} | given, content)


def unknown(code: str = "MANIFEST_UNKNOWN", status: int = 404) -> Answer:
    """A registry's own refusal."""
    return Answer(status, JSON, json.dumps({"errors": [{"code": code, "message": "x"}]}).encode())


def page_of(names: list[str], link: str = "", key: str = "tags") -> Answer:
    """A page of a list, with the header that leads to the next."""
    body = {"name": "test/web", key: names} if key == "tags" else {key: names}
    return Answer(200, JSON | ({"Link": link} if link else {}), json.dumps(body).encode())
