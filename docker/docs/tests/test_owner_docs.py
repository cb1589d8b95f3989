"""An owner's real documentation becomes a site: what is wrong with it is counted, and only what no site can lack ends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docs_rig import HERE, REPOSITORY_DOCS, Start, get, make, pack, run

ROUGH = """\
site_name: Rough
theme: {name: material}
plugins:
  - search
  - git-revision-date-localized: {type: date}
  - awesome-pages
  - mermaid2
markdown_extensions:
  - admonition
  - mdx_truly_sane_lists
  - pymdownx.emoji:
      emoji_index: !!python/name:materialx.emoji.twemoji
      emoji_generator: !!python/name:materialx.emoji.to_svg
  - pymdownx.superfences:
      custom_fences: [{name: x, class: x, format: !!python/name:gone.module.fence }]
hooks: [hooks/gone.py]
extra_javascript: [javascripts/mathjax.js, "https://unpkg.com/mathjax@3/es5/tex-mml-chtml.js"]
extra_css: [stylesheets/gone.css]
nav: [index.md, {Part: [part/a.md, part/gone.md]}]
"""


def _rough(root: Path, config: str = ROUGH) -> Path:
    """mkdocs.yml in the root of a repository with docs/ beside it; 60 broken links in 30 pages."""
    (root / "docs/part").mkdir(parents=True)
    (root / "src").mkdir()
    (root / "mkdocs.yml").write_text(config)
    (root / "docs/index.md").write_text("# Front\n\n[part](part/a.md) [no](#nowhere)\n")
    (root / "docs/part/a.md").write_text("# A\n\n:smile:\n\n[abs](/part/a.md)\n")
    for number in range(30):
        (root / f"docs/part/p{number}.md").write_text(f"# P{number}\n\n[a](gone{number}.md) ![b](gone{number}.png)\n")
    return root


def _report(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_s8_a_rough_tree_becomes_a_site_with_its_problems_counted(
    tmp_path: Path, fake_mermaid: Path, start_any: Start
) -> None:
    """Every kind is counted, twenty are shown, all are in the image, and the site is served."""
    source = _rough(tmp_path / "source")
    (tmp_path / "out").mkdir()
    report = tmp_path / "out/problems.json"

    made = run(_docsite(str(source), str(tmp_path / "out/site"), "--report", str(report)))
    packed = run(
        [
            "node",
            str(HERE / "pack/main.mjs"),
            *map(str, (tmp_path / "out/site", tmp_path / "app/site", fake_mermaid, report)),
        ],
        timeout=240,
    )

    assert (made.code, packed.code) == (0, 0), made.text + packed.text
    kinds = _report(report)["kinds"]
    assert {kind: count for kind, count in kinds.items() if kind != "setting"} == {
        "broken anchor": 1,
        "link form": 1,
        "missing page": 1,
        "other host": 1,
        "missing extension": 2,
        "missing extra file": 2,
        "missing plugin": 3,
        "page outside nav": 30,
        "broken link": 60,
    }
    assert "hooks" in next(p["text"] for p in _report(report)["problems"] if p["kind"] == "setting")
    shown = [line for line in made.text.splitlines() if line.startswith("docs: - ")]
    assert len(shown) == 20
    assert "problems.json in the image has all" in made.text
    assert any("awesome-pages" in line for line in shown)
    everything = _report(tmp_path / "app/problems.json")
    assert everything["kinds"]["broken link"] == 60
    assert everything["kinds"]["missing file"] >= 2
    server = start_any(tmp_path / "app/site")
    assert "<h1" in get(server, "/part/a/").text
    health = get(server, "/health").json()
    assert health["status"] == "healthy"
    assert health["problems"]["missing plugin"] == 3
    assert {"kind": "page", "name": "part/gone.md", "state": "failed", "critical": False}.items() <= health[
        "inventory"
    ][-1].items()


def _docsite(*args: str) -> list[str]:
    import sys

    return [sys.executable, "-m", "docsite", *args]


def test_s8_the_same_tree_is_refused_when_it_is_strict(tmp_path: Path) -> None:
    """`strict: true` in mkdocs.yml, or DOCS_STRICT=true, makes every problem a refusal; DOCS_STRICT=false never does."""
    source = _rough(tmp_path / "source")
    assert make(source, tmp_path / "a", DOCS_STRICT="true").code == 1
    (source / "mkdocs.yml").write_text(f"{ROUGH}strict: true\n")
    assert make(source, tmp_path / "b").code == 1

    assert make(source, tmp_path / "c", DOCS_STRICT="false").code == 0
    assert (tmp_path / "c/index.html").is_file()


def test_s8_the_shipped_docs_are_strict() -> None:
    """A fault in this repository's own pages stops its build."""
    assert "\nstrict: true\n" in (REPOSITORY_DOCS / "mkdocs.yml").read_text()


def test_s8_the_problems_are_listed_for_a_program(tmp_path: Path) -> None:
    """`--check --json` has each problem with its kind, leaves nothing behind, and says what is fatal."""
    done = run(_docsite("--check", "--json", str(_rough(tmp_path / "source"))))
    assert done.code == 0, done.text
    content = json.loads(done.text[: done.text.rindex("}") + 1])
    assert (content["source"], content["strict"], content["fatal"]) == ("mkdocs", False, "")
    assert content["kinds"]["broken link"] == 60
    assert len(content["problems"]) == sum(content["kinds"].values())
    assert not (tmp_path / "source/site").exists()

    (tmp_path / "empty").mkdir()
    done = run(_docsite("--check", "--json", str(tmp_path / "empty")))
    assert done.code == 2
    assert "neither mkdocs.yml nor index.html" in json.loads(done.text)["fatal"]


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("plugins: [search, {mkdocstrings: {}}]", "# A\n\n::: no.such.module\n"),
        ("hooks: [hook.py]", "# A\n"),
    ],
    ids=["plugin", "hook"],
)
def test_s8_a_plugin_that_breaks_the_build_costs_the_plugin(
    project: Path, tmp_path: Path, line: str, file: str
) -> None:
    """What raises in the middle of a build is a problem, and the site is built without it."""
    config = (project / "mkdocs.yml").read_text().replace("strict: true", "").replace("plugins: [search]\n", "")
    (project / "mkdocs.yml").write_text(f"{config}\n{line}\n")
    (project / "hook.py").write_text("def on_page_markdown(markdown, **_):\n    raise ValueError('broken hook')\n")
    (project / "docs/guide/a.md").write_text(file)

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 0, outcome.text
    assert "broken plugin" in outcome.text
    assert (tmp_path / "site/guide/a/index.html").is_file()


def test_s8_a_source_without_a_front_page_has_no_site(project: Path, tmp_path: Path, fake_mermaid: Path) -> None:
    """A server whose address answers 404 is refused, strict or not."""
    (project / "docs/index.md").unlink()
    made = make(project, tmp_path / "site", DOCS_STRICT="false")
    assert made.code == 0, made.text

    packed = pack(tmp_path / "site", tmp_path / "out", fake_mermaid, DOCS_STRICT="false")

    assert packed.code == 2
    assert "no front page" in packed.text


def _sphinx(site: Path) -> None:
    _write(
        site,
        "index.html",
        '<link rel="stylesheet" href="_static/basic.css?v=1"><script src="_static/doctools.js?v=9"></script>',
    )
    _write(site, "_static/basic.css", "@font-face { src: url(fonts/a.woff2?v=2#iefix) }")
    _write(site, "_static/doctools.js", "document.title = 'ran';")
    _write(site, "_static/fonts/a.woff2", "font")
    _write(site, "_sources/index.rst.txt", "Front")
    _write(site, "objects.inv", "x")
    _write(site, "searchindex.js", "Search.setIndex({})")


def _docfx(site: Path) -> None:
    _write(
        site,
        "index.html",
        '<script type="module">import("./public/main.js")</script><meta name="docfx:rel" content="">',
    )
    _write(site, "public/main.js", "document.title = 'ran';")
    _write(site, "toc.json", "[]")
    _write(site, "xrefmap.yml", "x: 1")
    _write(site, "api/A.B.html", "<h1>A.B</h1>")


def _typedoc(site: Path) -> None:
    _write(site, "index.html", '<script async src="assets/search.js"></script><script>document.title = "ran"</script>')
    _write(site, "assets/search.js", "window.searchData = 1;")
    _write(site, "assets/style.css", "body { background: url('data:image/svg+xml;base64,eA==') }")
    _write(site, "classes/A.html", "<h1>A</h1>")


def _javadoc(site: Path) -> None:
    _write(site, "index.html", '<iframe src="overview.html"></iframe><button onclick="show(&quot;x&quot;)">x</button>')
    _write(site, "overview.html", "<h1>Overview</h1>")


def _write(site: Path, name: str, text: str) -> None:
    file = site / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("lookalike", [_sphinx, _docfx, _typedoc, _javadoc])
def test_s8_a_prebuilt_site_is_served_whole(
    tmp_path: Path, fake_mermaid: Path, start_any: Start, lookalike: Callable[[Path], None]
) -> None:
    """What Sphinx, DocFX, TypeDoc and Javadoc write has no problem, and every file of it is served as it is."""
    source = tmp_path / "source"
    lookalike(source)
    made = make(source, tmp_path / "site")
    packed = pack(tmp_path / "site", tmp_path / "out", fake_mermaid)

    assert (made.code, packed.code) == (0, 0), made.text + packed.text
    assert "problem" not in packed.text
    server = start_any(tmp_path / "out")
    for file in (path for path in source.rglob("*") if path.is_file()):
        answer = get(server, f"/{file.relative_to(source).as_posix()}")
        assert (answer.status_code, answer.content) == (200, file.read_bytes())
    front = get(server, "/").headers
    framed = lookalike is _javadoc
    assert f"frame-ancestors '{'self' if framed else 'none'}'" in front["content-security-policy"]
    assert front["x-frame-options"] == ("SAMEORIGIN" if framed else "DENY")
    assert ("'unsafe-hashes'" in front["content-security-policy"]) is framed
