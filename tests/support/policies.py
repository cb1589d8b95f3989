"""Registry policies and logins as proxy rules: the behaviour of Harbor, ProGet and token services."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections import Counter

from tests.support.hub import Hub
from tests.support.proxy import Answer, Request, Rule

ALWAYS = 1_000_000
_TAG = re.compile(r"^/v2/(.+)/manifests/([^:]+)$")
USER, PASSWORD = "releaser", "correct horse"


def _refusal(status: int, code: str, message: str, **headers: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    extra = {key.replace("_", "-"): value for key, value in headers.items()}
    return Answer(status, {"Content-Type": "application/json"} | extra, body)


def immutable(hub: Hub, *, pattern: str = "") -> Rule:
    """Harbor: any PUT of an existing tag gets 412, even an identical one. `pattern` selects tags (default: all)."""

    def act(request: Request) -> Answer:
        tag = _TAG.match(request.path)
        if tag and re.search(pattern, tag[2]) and hub.digest(tag[1], tag[2]):
            return _refusal(412, "PRECONDITION", f"tag {tag[2]} is immutable")
        return request.forward()

    return Rule(r"^PUT .*/manifests/", act, times=ALWAYS)


def three_parts(hub: Hub) -> Rule:
    """ProGet: only three-part tags are accepted, and the registry moves X.Y and X itself."""

    def act(request: Request) -> Answer:
        tag = _TAG.match(request.path)
        if tag is None:
            return request.forward()
        if not re.match(r"\d+\.\d+\.\d+", tag[2]):
            return _refusal(400, "TAG_INVALID", f"{tag[2]} is not a semantic version")
        answer = request.forward()
        if answer.status == 201 and re.fullmatch(r"\d+\.\d+\.\d+", tag[2]):
            parts = tag[2].split(".")
            for name in (".".join(parts[:2]), parts[0]):
                _move(hub, tag[1], name, request)
        return answer

    return Rule(r"^PUT .*/manifests/", act, times=ALWAYS)


def _move(hub: Hub, repository: str, name: str, request: Request) -> None:
    mine = _TAG.match(request.path)
    assert mine is not None
    rivals = [tag for tag in hub.tags(repository) if re.fullmatch(rf"{re.escape(name)}(\.\d+)+", tag)]
    if max(rivals, key=lambda tag: [int(part) for part in tag.split(".")], default=mine[2]) == mine[2]:
        hub.put(repository, name, request.body, request.headers["Content-Type"])


def basic() -> Rule:
    """Every request needs the user and the password."""
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def act(request: Request) -> Answer:
        if request.headers.get("Authorization") != wanted:
            return _refusal(401, "UNAUTHORIZED", "log in", WWW_Authenticate='Basic realm="test"')
        return request.forward()

    return Rule(r" /v2/", act, times=ALWAYS)


class TokenService:
    """Tokens for one repository and some actions, valid for `uses` requests; its rules: the service and the guard."""

    def __init__(self, address: str, *, uses: int) -> None:
        self.address, self.uses = address, uses
        self.given = Counter[str]()
        self._left: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()
        self.rules = [Rule(r"^GET /token", self._give, times=ALWAYS), Rule(r" /v2/", self._guard, times=ALWAYS)]

    def _give(self, request: Request) -> Answer:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != wanted:
            return _refusal(401, "UNAUTHORIZED", "wrong password")
        scope = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query).get("scope", [""])[0]
        with self._lock:
            self.given[scope] += 1
            token = f"t{sum(self.given.values())}"
            self._left[token] = (scope, self.uses)
        return Answer(200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())

    def _guard(self, request: Request) -> Answer:
        repository = re.match(r"/v2/(.+?)/(?:manifests|blobs|tags|referrers)/", request.path)
        action = "pull" if request.method in {"GET", "HEAD"} else "pull,push"
        scope = f"repository:{repository[1]}:{action}" if repository else ""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            granted, left = self._left.get(token, ("", 0))
            good = left > 0 and (granted == scope or granted.startswith(f"{scope},"))
            if good:
                self._left[token] = (granted, left - 1)
        if good:
            return request.forward()
        challenge = f'Bearer realm="http://{self.address}/token",service="test",scope="{scope}"'
        return _refusal(401, "UNAUTHORIZED", "token needed", WWW_Authenticate=challenge)
