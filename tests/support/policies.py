"""Registry policies and logins as proxy rules: the behaviour of Harbor, ProGet and token services."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections import Counter
from dataclasses import replace

from tests.support.hub import Hub
from tests.support.proxy import Answer, Proxy, Request, Rule

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


# Registries as they are ---------------------------------------------------------------------------------------------


def cookies(*others: Rule) -> Rule:
    """Harbor: every answer sets a session cookie, and a write that carries one needs a CSRF token too."""

    def act(request: Request) -> Answer:
        if request.method not in {"GET", "HEAD"} and "sid=" in request.headers.get("Cookie", ""):
            return _refusal(403, "FORBIDDEN", "CSRF token not found in request")
        rule = next((rule for rule in others if rule.takes(request)), None)
        answer = rule.act(request) if rule else request.forward()
        return Answer(answer.status, {**answer.headers, "Set-Cookie": "sid=1; Path=/; HttpOnly"}, answer.body)

    return Rule("", act, times=ALWAYS)


def head_answers(status: int) -> Rule:
    """Nexus: a HEAD of any manifest is answered with a status and a page's headers."""
    return Rule("^HEAD .*/manifests/", lambda _request: Answer(status, {"Content-Type": "text/html"}), times=ALWAYS)


def without_digests() -> Rule:
    """A registry that does not name the digest of what a HEAD finds."""

    def act(request: Request) -> Answer:
        answer = request.forward()
        named = {key: value for key, value in answer.headers.items() if key.lower() != "docker-content-digest"}
        return replace(answer, headers=named)

    return Rule("^HEAD .*/manifests/", act, times=ALWAYS)


def pages(size: int, *, absolute: bool) -> Rule:
    """A registry whose lists have `size` names a page, whatever it is asked for, and a Link to the next."""

    def act(request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        whole = replace(request, path=path).forward()
        if whole.status != 200:
            return whole
        body = json.loads(whole.body)
        key = "tags" if "tags" in body else "repositories"
        last = urllib.parse.parse_qs(query).get("last", [""])[0]
        names = sorted(name for name in body[key] or [] if name > last)
        start = f"http://{request.proxy.address}" if absolute else ""
        link = f'<{start}{path}?last={names[size - 1]}>; rel="next"' if len(names) > size else ""
        content = json.dumps(body | {key: names[:size]}).encode()
        return Answer(200, {"Content-Type": "application/json"} | ({"Link": link} if link else {}), content)

    return Rule("^GET .*/(tags/list|_catalog)", act, times=ALWAYS)


def elsewhere(store: Proxy) -> Rule:
    """A registry that keeps manifests and blobs at another host, behind two redirects; that one refuses any login."""

    def refuse(request: Request) -> Answer:
        if {"Authorization", "Cookie"} & request.headers.keys():
            return Answer(400, body=b"Only one auth mechanism allowed")
        if "signed" not in request.path:
            return Answer(307, {"Location": f"{request.path}?signed=1"})
        return replace(request, path=request.path.partition("?")[0]).forward()

    store.rules = [Rule("", refuse, times=ALWAYS)]

    def act(request: Request) -> Answer:
        answer = request.forward()
        if answer.status != 200:
            return answer
        return Answer(302, {"Location": f"http://{store.address}{request.path}"})

    return Rule("^(GET|HEAD) .*/(manifests|blobs)/", act, times=ALWAYS)


def limited(reads: int) -> Rule:
    """Docker Hub: a GET that finds a manifest is a pull, and `reads` of them are allowed; a HEAD is free."""
    left = reads
    lock = threading.Lock()

    def act(request: Request) -> Answer:
        nonlocal left
        answer = request.forward()
        with lock:
            left -= answer.status == 200
        if left < 0:
            return _refusal(429, "TOOMANYREQUESTS", "You have reached your pull rate limit", Retry_After="0")
        limits = {"ratelimit-limit": f"{reads};w=21600", "ratelimit-remaining": f"{left};w=21600"}
        return replace(answer, headers={**answer.headers, **limits})

    return Rule("^GET .*/manifests/", act, times=ALWAYS)


def sometimes(pattern: str, broken: Answer | None, *, every: int = 4) -> Rule:
    """Every so many requests get the `broken` answer first; None: the registry's, cut in half."""
    count = 0

    def act(request: Request) -> Answer:
        nonlocal count
        count += 1
        if count % every:
            return request.forward()
        answer = request.forward()
        half = replace(answer, body=answer.body[: len(answer.body) // 2])
        return broken or half

    return Rule(pattern, act, times=ALWAYS)
