"""mkdocs.yml of the rough tree, the pages in `docs/` with their broken links, and sites that other tools have built."""

from __future__ import annotations

import json

# As mkdocs.yml names them; no image of ours has them. `minify` is left out by docs-server.
ABSENT_PLUGINS = ("awesome-nav", "mermaid2", "git-revision-date-localized", "glightbox", "minify")
ABSENT_PAGES = ("reference/cli.md", "reference/events.md")  # in the nav, and not there
PAGES = tuple(f"guide/part{number}.md" for number in range(1, 11))
# What a broken link of each kind points to, and how many there are of it.
BROKEN = {"missing page": 24, "wrong case": 12, "missing anchor": 12, "missing image": 12}

_CONFIGURATION = """\
site_name: Orchard
site_url: https://ada.github.io/orchard/
repo_url: https://github.com/ada/orchard
theme:
  name: material
  custom_dir: overrides
  font:
    text: Inter
  icon:
    logo: material/tree
plugins:
  - search
{plugins}
markdown_extensions:
  - admonition
  - pymdownx.arithmatex:
      generic: true
  - pymdownx.emoji:
      emoji_index: !!python/name:material.extensions.emoji.twemoji
      emoji_generator: !!python/name:material.extensions.emoji.to_svg
  - toc:
      permalink: true
extra:
  version: !ENV [ORCHARD_VERSION, "dev"]
extra_css:
  - stylesheets/orchard.css
extra_javascript:
  - javascripts/mathjax.js
  - https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js
nav:
  - index.md
  - Guide:
{guide}
  - Reference:
{reference}
"""
_PAGE = """\
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}</head>
<body><h1 id="{anchor}">{title}</h1><p>Written by {generator}.</p></body></html>
"""


def _broken_links() -> list[str]:
    targets = {
        "missing page": "[see](missing{number}.md)",
        "wrong case": "[see](Part{part}.md)",
        "missing anchor": "[see](part{part}.md#nowhere)",
        "missing image": "![picture](images/picture{number}.png)",
    }
    return [
        targets[kind].format(number=number, part=number % len(PAGES) + 1)
        for kind, count in BROKEN.items()
        for number in range(count)
    ]


def _guide() -> dict[str, str]:
    links = _broken_links()
    share = len(links) // len(PAGES)
    return {
        f"docs/{page}": f"# Part {number}\n\nSee also [the next](part{number % len(PAGES) + 1}.md).\n\n"
        + "".join(f"- {link}\n" for link in links[(number - 1) * share : number * share])
        for number, page in enumerate(PAGES, start=1)
    }


def _mkdocs() -> dict[str, str]:
    return {
        "mkdocs.yml": _CONFIGURATION.format(
            plugins="\n".join(f"  - {name}" for name in ABSENT_PLUGINS),
            guide="\n".join(f"      - {page}" for page in PAGES),
            reference="\n".join(f"      - {page}" for page in ABSENT_PAGES),
        ),
        "docs/index.md": "# Orchard\n\nAn orchard has $n$ trees. :material-tree:\n\n[Guide](guide/part1.md)\n",
        "docs/stylesheets/orchard.css": ":root { --md-primary-fg-color: #2e7d32; }\n",
        "docs/javascripts/mathjax.js": "window.MathJax = { tex: { inlineMath: [['$', '$']] } };\n",
        "overrides/main.html": '{% extends "base.html" %}\n',
        **_guide(),
    }


def _built() -> dict[str, str]:
    """A site of mkdocs, and what DocFX, Sphinx and TypeDoc leave, as far as programs know them by it."""
    files = {
        "site/sitemap.xml": '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"></urlset>\n',
        "site/search/search_index.json": json.dumps({
            "config": {"lang": ["en"]},
            "docs": [{"location": "", "title": "Orchard", "text": "An orchard"}],
        }) + "\n",
        "docs/net/docfx.json": json.dumps({"build": {"content": [{"files": ["**/*.yml", "**/*.md"]}], "dest": "_site"}}),
        "docs/net/toc.yml": "- name: API\n  href: api/\n",
        "docs/net/api/Orchard.Tree.yml": "### YamlMime:ManagedReference\nitems:\n- uid: Orchard.Tree\n  type: Class\n",
        "docs/net/_site/manifest.json": json.dumps({"files": [{"type": "ManagedReference"}], "groups": []}),
        "docs/net/_site/xrefmap.yml": "### YamlMime:XRefMap\nreferences: []\n",
        "docs/net/_site/toc.html": "<ul><li><a href='api/Orchard.Tree.html'>Orchard.Tree</a></li></ul>\n",
        "docs/python/_build/html/.buildinfo": "# Sphinx build info version 1\nconfig: 0\ntags: 0\n",
        "docs/python/_build/html/searchindex.js": 'Search.setIndex({"docnames": ["index"], "terms": {}})\n',
        "docs/python/_build/html/objects.inv": "# Sphinx inventory version 2\n# Project: Orchard\n",
        "docs/python/_build/html/_sources/index.rst.txt": "Orchard\n=======\n",
        "docs/ts/.nojekyll": "",
        "docs/ts/assets/search.js": 'window.searchData = "";\n',
        "docs/ts/assets/navigation.js": 'window.navigationData = "";\n',
    }  # fmt: skip
    pages = {
        "site/index.html": "mkdocs-1.6.1, mkdocs-material-9.7.0",
        "site/404.html": "mkdocs-1.6.1, mkdocs-material-9.7.0",
        "docs/net/_site/index.html": "docfx 2.78.3",
        "docs/net/_site/api/Orchard.Tree.html": "docfx 2.78.3",
        "docs/python/_build/html/index.html": "Sphinx 8.1.3",
        "docs/python/_build/html/genindex.html": "Sphinx 8.1.3",
        "docs/ts/index.html": "TypeDoc 0.28.5",
        "docs/ts/modules.html": "TypeDoc 0.28.5",
    }
    for path, generator in pages.items():
        title = path.rpartition("/")[2].removesuffix(".html")
        head = f'<meta name="generator" content="{generator}"><script src="https://cdn.orchard.example/x.js"></script>'
        files[path] = _PAGE.format(title=title, head=head, anchor=title.lower(), generator=generator)
    return files


def files() -> dict[str, str]:
    """The files below the tree's folder, by their path."""
    return _mkdocs() | _built()
