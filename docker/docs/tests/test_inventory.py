"""What /health says the site has, and the ways into a site: its sitemap and the page of an unknown address."""

from __future__ import annotations

from pathlib import Path

from docs_rig import Start, get, make, pack


def test_the_inventory_names_front_page_search_index_and_pages(packed: Path, start_any: Start) -> None:
    """/health lists what a reader needs, from memory; the number of pages is there to compare."""
    health = get(start_any(packed), "/health").json()

    first, second, pages = health["inventory"]
    ready = {"kind": "page", "state": "ready", "reason": "", "critical": True}
    assert first == {"name": "front page", **ready}
    assert second == {"name": "search index", **ready}
    assert pages["count"] > 20
    assert pages == {"name": "pages", **ready, "count": pages["count"]}
    assert health["problems"] == {}


def test_the_inventory_names_what_is_gone(packed: Path, tmp_path: Path, start_any: Start) -> None:
    """A search index that can't be read any more makes the server unhealthy, by its name."""
    import shutil

    shutil.copytree(packed, tmp_path / "site")
    server = start_any(tmp_path / "site")
    (tmp_path / "site/raw/search/search_index.json").unlink()

    answer = get(server, "/health")

    assert answer.status_code == 503
    assert answer.json()["reason"] == "search index: search/search_index.json can't be read: ENOENT"
    assert [entry["state"] for entry in answer.json()["inventory"]] == ["ready", "failed", "ready"]


def test_p13_the_sitemap_lists_every_page(packed: Path, start_any: Start) -> None:
    """Without a site_url sitemap.xml has each page at the address that it was asked at; no other text gets in."""
    server = start_any(packed)
    answer = get(server, "/sitemap.xml")

    assert answer.headers["content-type"] == "application/xml"
    assert f"<loc>{server.url}/</loc>" in answer.text
    assert f"<loc>{server.url}/services/docs-server/</loc>" in answer.text
    pages = get(server, "/health").json()["inventory"][-1]["count"]
    assert answer.text.count("<loc>") == pages
    assert "404.html" not in answer.text
    behind = get(server, "/sitemap.xml", **{"host": "docs.example.org", "x-forwarded-proto": "https"}).text
    assert "<loc>https://docs.example.org/</loc>" in behind
    assert "<loc>http://localhost/</loc>" in get(server, "/sitemap.xml", host='x"<y').text


def test_p13_a_sitemap_of_the_authors_address_stays(project: Path, tmp_path: Path, fake_mermaid: Path) -> None:
    """With a site_url the sitemap is the one that mkdocs writes."""
    config = (project / "mkdocs.yml").read_text()
    (project / "mkdocs.yml").write_text(f"{config}site_url: https://example.org/\n")
    assert make(project, tmp_path / "site").code == 0

    assert pack(tmp_path / "site", tmp_path / "out", fake_mermaid).code == 0

    assert "<loc>https://example.org/guide/a/</loc>" in (tmp_path / "out/raw/sitemap.xml").read_text()


def test_p13_an_unknown_address_leads_on(packed: Path, start_any: Start) -> None:
    """The 404 page is the site's own: it has a search field and a way home, and is still a 404."""
    answer = get(start_any(packed), "/no/such/page")

    assert answer.status_code == 404
    assert '<form action="/" method="get" role="search">' in answer.text
    assert 'name="q"' in answer.text
    assert 'href="/">the front page' in answer.text
