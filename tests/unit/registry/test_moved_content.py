"""Lists in pages and content at other hosts: read to the end, followed, and no login goes along."""

from __future__ import annotations

import pytest

from build.errors import RegistryError
from build.registry.client import RegistryClient
from tests.support.answers import DIGEST, INDEX, MANIFEST, always, found, page_of
from tests.support.proxy import Answer, Proxy, Request

# R3 Pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["tags", "repositories"])
@pytest.mark.parametrize("start", ["{path}", "http://{address}{path}", "//{address}{path}", ""])
def test_r3_lists_are_read_to_their_last_page(registry: RegistryClient, proxy: Proxy, key: str, start: str) -> None:
    """Tags and repositories come page after page; a Link may be absolute, relative, or only a query (RFC 8288, 3986)."""
    path = "/v2/test/web/tags/list" if key == "tags" else "/v2/_catalog"

    def page(asked: Request) -> Answer:
        number = int(asked.path.partition("last=")[2] or 0)
        url = start.format(path=path, address=proxy.address)
        link = f"<{url}?last={number + 1}>; rel=next" if number < 2 else ""
        return page_of([f"{number}.0", f"{number}.1"], link, key)

    proxy.rules = [always("GET ", page)]

    listed = registry.tags("test/web") if key == "tags" else registry.repositories()

    assert listed == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]


def test_r3_a_page_that_repeats_itself_ends_the_list(registry: RegistryClient, proxy: Proxy) -> None:
    """A Link that leads to what was already read, under whatever URL, is not followed again."""
    count = iter(range(1000))
    proxy.rules = [
        always("GET ", lambda _asked: page_of(["a", "b"], f'</v2/test/web/tags/list?last={next(count)}>; rel="next"'))
    ]

    assert registry.tags("test/web") == ["a", "b"]
    assert proxy.count("GET ") == 2


def test_r3_a_full_page_without_a_link_may_not_be_the_last(registry: RegistryClient, proxy: Proxy) -> None:
    """A registry that pages by `last` alone sends as many names as were asked for: what comes after is asked for."""
    names = [f"{number:04}" for number in range(1500)]
    proxy.rules = [always("GET ", lambda asked: page_of(names[1000:] if "last=0999" in asked.path else names[:1000]))]

    assert registry.tags("test/web") == names


def test_r3_a_page_at_another_host_gets_no_login(registry: RegistryClient, proxy: Proxy, elsewhere: Proxy) -> None:
    """A Link may lead anywhere; the login stays with the registry."""
    logins: list[str | None] = []

    def page(asked: Request) -> Answer:
        logins.append(asked.headers.get("Authorization"))
        return page_of(["b"])

    proxy.rules = [always("GET ", page_of(["a"], f'<http://{elsewhere.address}/v2/test/web/tags/list>; rel="next"'))]
    elsewhere.rules = [always("GET ", page)]

    assert registry.tags("test/web") == ["a", "b"]
    assert logins == [None]


# R4 Redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("what", ["manifests/1.0.0", f"blobs/{DIGEST}"])
def test_r4_content_may_be_elsewhere(
    registry: RegistryClient, proxy: Proxy, elsewhere: Proxy, code: int, what: str
) -> None:
    """Manifests and blobs may be redirected, several times, to hosts that see no login."""
    logins: list[str | None] = []

    def store(asked: Request) -> Answer:
        logins.append(asked.headers.get("Authorization"))
        return Answer(code, {"Location": "?signed=1"}) if "signed" not in asked.path else found()

    proxy.rules = [
        always("/v2/moved/", lambda asked: Answer(code, {"Location": asked.path.replace("/moved/", "/test/web/")})),
        always("/v2/test/", lambda asked: Answer(code, {"Location": f"http://{elsewhere.address}{asked.path}"})),
    ]
    elsewhere.rules = [always("GET ", store)]

    kind, _, name = what.partition("/")
    read = registry.manifest("moved", name) if kind == "manifests" else registry.blob("moved", name)

    assert read
    assert logins == [None, None]


def test_r4_an_upload_may_go_elsewhere(registry: RegistryClient, proxy: Proxy, elsewhere: Proxy) -> None:
    """An upload's Location, and a redirect that keeps the method, take the body to another host, and not the login."""
    seen: list[tuple[str | None, bytes]] = []

    def keep(asked: Request) -> Answer:
        seen.append((asked.headers.get("Authorization"), asked.body))
        return Answer(201)

    proxy.rules = [always("POST ", lambda asked: Answer(202, {"Location": f"http://{elsewhere.address}/upload?a=1"}))]
    elsewhere.rules = [always("PUT /upload", Answer(307, {"Location": "/kept"})), always("PUT /kept", keep)]

    assert registry.put_blob("test/web", DIGEST, MANIFEST)
    assert seen == [(None, MANIFEST)]


@pytest.mark.parametrize("code", [301, 302, 303])
def test_r4_a_write_does_not_become_a_read(registry: RegistryClient, proxy: Proxy, code: int) -> None:
    """A redirect that would turn a PUT into a GET is a refusal that says where it leads."""
    proxy.rules = [always("PUT ", Answer(code, {"Location": "https://registry.example/v2/"}))]

    with pytest.raises(RegistryError, match=f"answers {code}, which leads to https://registry.example/v2/"):
        registry.put_manifest("test/web", "1.0.0", MANIFEST, INDEX)


@pytest.mark.parametrize("location", ["{path}", "{path}?{number}"])
def test_r4_a_circle_ends_with_words(registry: RegistryClient, proxy: Proxy, location: str) -> None:
    """Redirects that come back, or never end, are reported."""
    count = iter(range(1000))
    proxy.rules = [
        always(
            "GET ",
            lambda asked: Answer(
                302, {"Location": location.format(path=asked.path.partition("?")[0], number=next(count))}
            ),
        )
    ]

    with pytest.raises(RegistryError, match="redirects in a circle, or without end") as caught:
        registry.manifest("test/web", "1.0.0")

    assert "curl -vL" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("ftp://x/y", "not a URL"),
        ("http://a:b/x", "(?i)invalid"),
        ("mailto:x", "not a URL|[Ii]nvalid"),
    ],
)
def test_r4_a_location_that_is_none(registry: RegistryClient, proxy: Proxy, location: str, says: str) -> None:
    """A Location that leads nowhere is reported, not a traceback."""
    proxy.rules = [always("GET ", Answer(302, {"Location": location}))]

    with pytest.raises(RegistryError, match=says):
        registry.manifest("test/web", "1.0.0")


def test_r4_tls_is_not_left(secure: RegistryClient) -> None:
    """What began with TLS does not go on without: a redirect, an upload or a page to http is refused with the remedy."""
    import httpx

    asked = httpx.Request("GET", "https://registry.example/v2/test/web/manifests/1.0.0")
    answer = httpx.Response(302, headers={"Location": "http://registry.example/v2/x?token=secret"}, request=asked)
    with pytest.raises(RegistryError, match=r"from https to http://registry\.example/v2/x: refused") as caught:
        secure.location(answer)

    assert "X-Forwarded-Proto" in caught.value.hint


def test_r4_a_login_in_the_clear_is_refused(secure: RegistryClient) -> None:
    """A token service without TLS, unless it is on this machine, gets no password."""
    import httpx

    challenge = {"WWW-Authenticate": 'Bearer realm="http://tokens.example/token",service="x"'}
    answer = httpx.Response(401, headers=challenge, request=httpx.Request("GET", "https://registry.example/v2/"))
    with pytest.raises(RegistryError, match="would get the password in the clear"):
        secure.logins.answer(answer)
