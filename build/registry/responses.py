"""What a registry's answer means: whether it is one at all, what it says of a failure, and what helps against it.

What stands between (a reverse proxy, a captive portal, a load balancer without a backend) answers too, and must not be
mistaken for the registry: neither its page for content, nor its 404 for "there is none".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build.registry.oci import digest_of

if TYPE_CHECKING:
    import httpx

API_VERSION = "Docker-Distribution-Api-Version"
DIGEST = "Docker-Content-Digest"
RULES = "./inv doctor --registry learns what it allows"
_AGAIN = "then the same command again"
_HINTS = {
    400: f"its own words say what it does not take; {RULES}",
    401: "set [registry] username and password_file, or docker login",
    403: "set [registry] username and password_file, or docker login",
    404: "is it a registry with such a project? set [registry] address (UC_REGISTRY_ADDRESS) and namespace",
    405: "it is read-only, or what stands before it is, or only a mirror: [registry] address must take pushes",
    409: f"somebody else writes the same, or the tag can't be moved: {_AGAIN}; {RULES}",
    412: f"such a tag can't be moved there: {RULES}",
    413: "the proxy before the registry limits a request's body: raise it (nginx: client_max_body_size 0;)",
    415: "it does not take OCI images: use a newer version of it",
    429: f"it counts requests, those without a login first: docker login, or wait, {_AGAIN}",
    500: f"the registry's own log says why; {_AGAIN}",
    502: f"a proxy answers, and the registry behind it does not: start it, {_AGAIN}",
    503: f"it is overloaded, being maintained, or not started: wait, {_AGAIN}",
    504: f"a proxy answers, and the registry behind it takes too long: see its log and its storage, {_AGAIN}",
    507: f"the registry's disk or quota is full: free some of it, {_AGAIN}",
}
BETWEEN = "curl -v shows what answers: a proxy, a cache, a captive portal? or set UC_REGISTRY_ADDRESS to a registry's"


def hint(status: int) -> str:
    """Return what helps against a refusal with this HTTP status, "" if nothing is known."""
    return _HINTS.get(status, _HINTS[500] if status >= 500 else "")


def content_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer, empty if it has none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def kind(answer: httpx.Response) -> str:
    """Return what an answer that should be JSON is instead."""
    if not answer.content:
        return "nothing"
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    if is_page(answer):
        return f"a web page ({media_type or 'text/html'})"
    return media_type if media_type and "json" not in media_type else "something else than was asked for"


def is_page(answer: httpx.Response) -> bool:
    """Whether an answer is a web page, which no registry sends."""
    return "html" in answer.headers.get("Content-Type", "") or answer.content.lstrip()[:1] == b"<"


def reason(answer: httpx.Response) -> str:
    """Return code and message of the first error in the registry's answer."""
    try:
        first = answer.json()["errors"][0]
        return f"{first.get('code', '')} {first.get('message', '')}".strip()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


def absence(answer: httpx.Response) -> str:
    """Return why a 404 is not a registry's own, "" if it is.

    A registry's has its API version among the headers (Distribution, Nexus, ECR, ACR, Gitea, GitLab, Google), or a list
    of errors (Distribution specification, "Error Codes"; Harbor's code is NOT_FOUND, Artifactory has numbers instead).
    """
    errors = content_of(answer).get("errors")
    own = API_VERSION in answer.headers and not is_page(answer)
    own = own or (isinstance(errors, list) and bool(errors))
    return "" if own else f"answers 404 with {kind(answer)}, which is not a registry's"


def manifest(answer: httpx.Response, reference: str) -> str:
    """Return why an answer is not the manifest that was asked for, "" if it is."""
    if answer.status_code == 404:
        return absence(answer)
    digest = digest_of(answer.content)
    if reference.startswith("sha256:") and digest != reference:
        return f"sends {digest} when asked for {reference}" if answer.content else "sends nothing"
    named = answer.headers.get(DIGEST, "")
    if named.startswith("sha256:") and named != digest:
        return f"sends bytes of the digest {digest} and calls them {named}"
    # Every manifest has a version, but for the artifacts of an early draft.
    return "" if {"schemaVersion", "mediaType"} & content_of(answer).keys() else f"answers with {kind(answer)}"


def blob(answer: httpx.Response, digest: str) -> str:
    """Return why an answer is not the blob that was asked for, "" if it is."""
    if answer.status_code == 404:
        return absence(answer)
    return "" if digest_of(answer.content) == digest else f"sends other bytes than {digest}"


def listing(answer: httpx.Response, key: str) -> str:
    """Return why an answer is not a page of a list, "" if it is.

    An empty list may be null, or left out beside the repository's name.
    """
    if answer.status_code == 404:
        return absence(answer)
    body = content_of(answer)
    listed = body.get(key) or []
    names = isinstance(listed, list) and all(isinstance(name, str) for name in listed)
    return "" if names and {key, "name"} & body.keys() else f"answers with {kind(answer)}"


def api(answer: httpx.Response) -> str:
    """Return why an answer to a ping is not a registry's, "" if it is."""
    return f"answers with {kind(answer)} and is not a registry" if is_page(answer) else ""
