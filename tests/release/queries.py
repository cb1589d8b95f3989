"""Queries that the release tests share, and the behaviour of registries other than Distribution."""

from __future__ import annotations

import re
from typing import Any

from build.registry.client import RegistryClient
from tests.support.project import Project, Ran
from tests.support.proxy import Answer, Request, Rule
from tests.support.world import SERVICES, Clone, World

ALWAYS = 1_000_000
OTHER = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX = "application/vnd.oci.image.index.v1+json"
BLOB = b"some bytes"


def ok(ran: Ran) -> Ran:
    """Return the finished command after asserting that it succeeded."""
    assert ran.code == 0, ran.text
    return ran


def digests(world: World, tag: str) -> dict[str, str]:
    """The digest that a tag names, for each service that has the tag."""
    names = {name: world.hub.digest(f"{world.namespace}/{name}", tag) for name in SERVICES}
    return {name: digest for name, digest in names.items() if digest}


def recorded(world: World, tag: str) -> dict[str, str]:
    """The digest of each service in the record that a git tag carries."""
    return {name: one["digest"] for name, one in world.record(tag)["services"].items()}


def planned(clone: Clone, *arguments: str, **environment: str) -> Any:
    """The plan that a dry run prints."""
    return ok(clone.inv("release", "--dry-run", "--json", *arguments, **environment)).result


def listed(clone: Clone) -> dict[str, Any]:
    """What `invoke releases` lists, by git tag."""
    return {one["tag"]: one for one in ok(clone.inv("releases", "--json")).result}


def client(project: Project, address: str, **environment: str) -> RegistryClient:
    """A registry client for an address, with two attempts."""
    return RegistryClient(project.load(UC_REGISTRY_ADDRESS=address, **environment), attempts=2)


def immutable() -> Rule:
    """Harbor's rule: 412 for any PUT of an existing three-part tag, whatever its digest."""

    def act(request: Request) -> Answer:
        asked = {name: value for name, value in request.headers.items() if not name.lower().startswith("content-")}
        there = Request(request.proxy, "HEAD", request.path, asked, b"").forward()
        return Answer(412) if there.status == 200 else request.forward()

    return Rule(r"PUT .*/manifests/\d+\.\d+\.\d+[^/]*$", act, times=ALWAYS)


def three_part_tags() -> list[Rule]:
    """ProGet's rules: only three-part versions are accepted, and the registry moves X.Y and X itself."""

    def refuse(_request: Request) -> Answer:
        return Answer(400)

    def move(request: Request) -> Answer:
        answer = request.forward()
        start, _, tag = request.path.rpartition("/")
        for name in (tag.rpartition(".")[0], tag.partition(".")[0]):
            Request(request.proxy, "PUT", f"{start}/{name}", request.headers, request.body).forward()
        return answer

    return [
        Rule(r"PUT .*/manifests/\d+\.\d+\.\d+$", move, times=ALWAYS),
        Rule(r"PUT .*/manifests/(?!\d+\.\d+\.\d+|sha256:)", refuse, times=ALWAYS),
    ]


def is_public_write(request: str) -> bool:
    """Whether a recorded request changes a tag outside the scratch repository."""
    return bool(re.search(r"(PUT|DELETE) .*/manifests/(?!sha256:)", request)) and "/uc-probe/" not in request
