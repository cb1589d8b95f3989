"""What a cache may keep of the server's answers, in which coding, and for how long."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest
from docs_rig import Server, get


def test_the_front_page_is_html_that_is_revalidated(server: Server) -> None:
    """A page is never served from a cache without asking, so an update shows at once."""
    answer = get(server, "/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "Unity-Claude-Automation" in answer.text


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("br, gzip", "br"),
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("*", "br"),
        ("BR", "br"),
        ("*;q=0", None),
        ("identity, br;q=0.5", None),
        ("zstd", None),
        ("br;q=nonsense", None),
        ("", None),
    ],
)
def test_the_coding_is_the_clients_choice(server: Server, accepted: str, coding: str | None) -> None:
    """Accept-Encoding decides with its weights, and every answer tells caches that it did."""
    answer = httpx.head(server.url + "/", headers={"accept-encoding": accepted})

    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "accept-encoding"


def test_codings_have_tags_of_their_own_and_one_content(server: Server) -> None:
    """A strong tag names one sequence of bytes; a cache must not mix a compressed form with a plain one."""
    plain = get(server, "/")
    with httpx.stream("GET", server.url + "/", headers={"accept-encoding": "gzip"}) as packed:
        stored = b"".join(packed.iter_raw())
    brotli = httpx.head(server.url + "/", headers={"accept-encoding": "br"})

    assert gzip.decompress(stored) == plain.content
    assert len({plain.headers["etag"], packed.headers["etag"], brotli.headers["etag"]}) == 3
    assert all(re.fullmatch(r'"[0-9a-f]{32}(-br|-gz)?"', a.headers["etag"]) for a in (plain, packed, brotli))


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_known_tag_is_answered_with_304(server: Server, form: str) -> None:
    """A client that has the bytes gets no body, and the headers that keep its copy usable."""
    tag = get(server, "/").headers["etag"]

    answer = get(server, "/", **{"if-none-match": form.format(tag)})

    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["vary"] == "accept-encoding"


def test_another_tag_is_answered_in_full(server: Server) -> None:
    """The tag of a compressed form doesn't stand for the plain one."""
    tag = httpx.head(server.url + "/", headers={"accept-encoding": "br"}).headers["etag"]

    assert get(server, "/", **{"if-none-match": tag}).status_code == 200


def test_assets_with_a_hash_are_kept_for_good(server: Server) -> None:
    """Their name changes with their content; a file whose name doesn't is revalidated."""
    page = get(server, "/").text
    found = re.search(r'href="(assets/stylesheets/main\.[0-9a-f]+\.min\.css)"', page)
    assert found

    assert "immutable" in get(server, f"/{found[1]}").headers["cache-control"]
    assert get(server, "/search/search_index.json").headers["cache-control"] == "no-cache"
