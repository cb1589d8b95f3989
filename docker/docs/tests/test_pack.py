"""Packing finds what a site loads, makes its policy, and is a pure function of its input."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from docs_rig import REPOSITORY_DOCS, make, make_as_process, pack


def _site(tmp_path: Path, **files: str) -> Path:
    site = tmp_path / "site"
    for name, text in {"index.html": "<h1>Front</h1>", **files}.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return site


def _manifest(out: Path) -> Any:
    return json.loads((out / "manifest.json").read_text())


def _tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_equal_pages_give_equal_sites(tmp_path: Path) -> None:
    """Two builds with one SOURCE_DATE_EPOCH are the same files, so an unchanged site is an unchanged layer."""
    assert make_as_process(REPOSITORY_DOCS, tmp_path / "one").code == 0
    time.sleep(1)  # a clock's second in a file would show
    assert make_as_process(REPOSITORY_DOCS, tmp_path / "two").code == 0

    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")


def test_equal_sites_give_equal_packages(tmp_path: Path, fake_mermaid: Path) -> None:
    """Packing adds no date and no order of its own."""
    pages = {f"p{number}/index.html": f"<script>page({number})</script>" * 40 for number in range(30)}
    site = _site(tmp_path, **pages)
    assert pack(site, tmp_path / "one", fake_mermaid).code == 0
    assert pack(site, tmp_path / "two", fake_mermaid).code == 0

    assert len(_tree(tmp_path / "one")) > 60
    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")


def test_the_date_of_the_build_is_not_that_of_the_pages(project: Path, tmp_path: Path) -> None:
    """The sitemap names no date of change that nobody knows: a build on another day would be another image."""
    text = (project / "mkdocs.yml").read_text()
    (project / "mkdocs.yml").write_text(text + "site_url: https://example.org/\n")

    assert make(project, tmp_path / "site", SOURCE_DATE_EPOCH="86400").code == 0

    sitemap = (tmp_path / "site/sitemap.xml").read_text()
    assert "<loc>https://example.org/" in sitemap
    assert "lastmod" not in sitemap


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ('<img src="gone.png">', ["guide/a.html", "/guide/gone.png"]),
        ('<script src="/gone.js"></script>', ["guide/a.html", "/gone.js"]),
        ('<link rel="stylesheet" href="../gone.css">', ["guide/a.html", "/gone.css"]),
        ('<script src="https://unpkg.com/x.js"></script>', ["guide/a.html", "unpkg.com", "another host"]),
        ("<img src='//cdn.example/x.png'>", ["guide/a.html", "cdn.example", "another host"]),
        ('<link rel=preconnect href="https://fonts.gstatic.com">', ["guide/a.html", "gstatic"]),
        ("".join(f'<b onclick="go({n})">' for n in range(70)), ["guide/a.html", "onclick"]),
        ('<frameset><frame src="gone.html"></frameset>', ["guide/a.html", "/guide/gone.html"]),
    ],
)
def test_what_a_page_would_load_in_vain_is_a_fault(
    tmp_path: Path, fake_mermaid: Path, page: str, names: list[str]
) -> None:
    """Missing files, other hosts and blocked handlers are found in any site, whoever built it."""
    outcome = pack(_site(tmp_path, **{"guide/a.html": page}), tmp_path / "out", fake_mermaid)

    assert outcome.code == 1
    assert all(name in outcome.text for name in names), outcome.text


def test_a_style_sheet_from_another_host_is_a_fault(tmp_path: Path, fake_mermaid: Path) -> None:
    """A font or an image that a style sheet loads counts like one of a page."""
    site = _site(tmp_path, **{"a.css": "@font-face { src: url(https://fonts.gstatic.com/x.woff2) }"})

    outcome = pack(site, tmp_path / "out", fake_mermaid)

    assert outcome.code == 1
    assert "a.css: loads https://fonts.gstatic.com/x.woff2" in outcome.text


def test_links_to_other_hosts_are_no_loads(tmp_path: Path, fake_mermaid: Path) -> None:
    """A reader may follow a link to anywhere; comments and code samples load nothing."""
    page = (
        '<a href="https://example.org/">x</a><link rel="canonical" href="https://example.org/">'
        "<!-- <img src='https://example.org/x.png'> --><code>&lt;img src=x.png&gt;</code>"
        "<script>const text = '<img src=\"https://example.org/y.png\">'</script>"
    )

    outcome = pack(_site(tmp_path, **{"a.html": page}), tmp_path / "out", fake_mermaid)

    assert outcome.code == 0, outcome.text


@pytest.mark.parametrize("name", [".env", "keys/id_rsa", "server.pem", "deep/.git/config"])
def test_a_private_file_is_named_and_not_published(tmp_path: Path, fake_mermaid: Path, name: str) -> None:
    """A stray key or hidden file in the docs folder never becomes public, not in lenient mode either."""
    outcome = pack(_site(tmp_path, **{name: "secret"}), tmp_path / "out", fake_mermaid, DOCS_STRICT="false")

    assert outcome.code == 0
    assert name in outcome.text
    assert name not in _manifest(tmp_path / "out")["files"]
    assert not list((tmp_path / "out").rglob(Path(name).name))


def test_a_symbolic_link_is_not_followed(tmp_path: Path, fake_mermaid: Path) -> None:
    """A link out of the site would publish what lies behind it."""
    site = _site(tmp_path)
    (site / "passwd.txt").symlink_to("/etc/passwd")

    outcome = pack(site, tmp_path / "out", fake_mermaid)

    assert outcome.code == 1
    assert "passwd.txt" in outcome.text


def test_a_site_without_a_front_page_is_refused(tmp_path: Path, fake_mermaid: Path) -> None:
    """A server whose address answers 404 is no documentation server."""
    site = _site(tmp_path)
    (site / "index.html").rename(site / "start.html")

    outcome = pack(site, tmp_path / "out", fake_mermaid)

    assert outcome.code == 2
    assert "front page" in outcome.text


def test_the_policy_names_what_a_browser_hashes(tmp_path: Path, fake_mermaid: Path) -> None:
    """A browser hashes an inline script after turning CRLF to LF; data blocks are no scripts."""
    page = "<script>\r\nrun()\r\n</script><script type='application/json'>{}</script><script type=module>m()</script>"

    assert pack(_site(tmp_path, **{"a.html": page}), tmp_path / "out", fake_mermaid).code == 0

    expected = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in ("\nrun()\n", "m()")
    }
    policy = _manifest(tmp_path / "out")["policies"][0]
    assert expected == {word.strip(";") for word in policy.split() if word.startswith("'sha256-")}


def test_s8_event_handlers_are_allowed_by_their_hashes(tmp_path: Path, fake_mermaid: Path) -> None:
    """The policy names each handler's text as a browser reads it, entities and all, and allows no other inline code."""
    page = (
        """<a onclick="go(&quot;x&quot;)">x</a><b class='c'onload='run()' data-onclick="no()">y</b>"""
        """<!-- <i onclick="old()"> --><script>"<u onclick='text()'>"</script>"""
    )

    assert pack(_site(tmp_path, **{"a.html": page}), tmp_path / "out", fake_mermaid).code == 0

    texts = ('go("x")', "run()", "\"<u onclick='text()'>\"")
    expected = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts}
    words = _manifest(tmp_path / "out")["policies"][0].split("; ")[1].split()
    assert set(words) == {"script-src", "'self'", "'unsafe-hashes'", *expected}


def test_many_different_scripts_give_a_policy_for_each_page(tmp_path: Path, fake_mermaid: Path) -> None:
    """A generated site with a script of its own on every page doesn't outgrow the header limits of proxies."""
    pages = {f"p{number}.html": f"<script>page({number})</script>" for number in range(80)}

    assert pack(_site(tmp_path, **pages), tmp_path / "out", fake_mermaid).code == 0

    policies = _manifest(tmp_path / "out")["policies"]
    assert len(policies) == 81
    assert max(policy.count("sha256-") for policy in policies) == 1


def test_compressed_forms_hold_the_same_content(packed: Path) -> None:
    """What is sent compressed is what is stored plain, and is kept only where it is smaller."""
    files = _manifest(packed)["files"]

    assert len(files) > 20
    for path, entry in files.items():
        raw = (packed / "raw" / path).read_bytes()
        assert entry["hash"] == hashlib.sha256(raw).hexdigest()[:32]
        assert all(size < len(raw) for form, size in entry["sizes"].items() if form != "raw")
        if "gzip" in entry["sizes"]:
            assert gzip.decompress((packed / "gzip" / path).read_bytes()) == raw


def test_mermaid_and_repository_facts_come_from_no_other_host(
    project: Path, tmp_path: Path, fake_mermaid: Path
) -> None:
    """Material loads Mermaid from unpkg and asks GitHub for stars; the packed site does neither."""
    config = (project / "mkdocs.yml").read_text()
    (project / "mkdocs.yml").write_text(config + "repo_url: https://github.com/example/project\n")
    (project / "docs/guide/a.md").write_text("# A\n\n## Part\n\n```mermaid\ngraph LR; a-->b\n```\n")
    assert make(project, tmp_path / "site").code == 0
    for source_map in (tmp_path / "site").rglob("*.map"):
        source_map.unlink()  # large, slow to compress, and beside the point

    outcome = pack(tmp_path / "site", tmp_path / "out", fake_mermaid)

    raw = tmp_path / "out/raw"
    bundle = next((raw / "assets/javascripts").glob("bundle.*.js"))
    assert outcome.code == 0, outcome.text
    assert (raw / "assets/javascripts/mermaid.min.js").read_bytes() == fake_mermaid.read_bytes()
    assert "unpkg.com/mermaid" not in bundle.read_text()
    assert 'data-md-component="source"' not in (raw / "index.html").read_text()
    assert "https://github.com/example/project" in (raw / "index.html").read_text()
    assert _manifest(tmp_path / "out")["files"][f"assets/javascripts/{bundle.name}"]["immutable"] is False
