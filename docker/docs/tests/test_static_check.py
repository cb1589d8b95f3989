"""What is wrong with a docs source is known before any build, without MkDocs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from docs_rig import HERE
from docsite.static_check import PLUGINS, ConfigUnreadable, Problem, check, counts, links, rarest_first
from mkdocs.plugins import get_plugins


def _source(root: Path, config: str, **pages: str) -> Path:
    (root / "docs").mkdir(parents=True)
    (root / "mkdocs.yml").write_text(config)
    for name, text in {"index": "# Front", **pages}.items():
        file = root / f"docs/{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_s8_each_problem_is_named_with_its_kind(tmp_path: Path) -> None:
    """Plugins that the image lacks, extra files, pages of nav and relative links that lead nowhere."""
    config = (
        "site_name: x\nplugins: [search, git-revision-date-localized: {type: date}, mermaid2]\n"
        "extra_css: [styles/gone.css]\nextra_javascript: [javascripts/mathjax.js, 'https://unpkg.com/m.js']\n"
        "nav: [index.md, {Part: [gone.md, {Deep: part/index.md}]}, https://example.org/x.md]\n"
        "markdown_extensions: [{pymdownx.emoji: {emoji_index: !!python/name:materialx.emoji.twemoji }}]\n"
    )
    source = _source(
        tmp_path, config, **{"part/index": "[up](../index.md) [no](nowhere.md#x) ![p](p.png)\n\n[d]: ../d.md"}
    )

    assert check(source) == [
        Problem(
            "missing plugin",
            "mkdocs.yml: plugins: git-revision-date-localized is not in the image; the site is built without it",
        ),
        Problem("missing plugin", "mkdocs.yml: plugins: mermaid2 is not in the image; the site is built without it"),
        Problem("missing extra file", "mkdocs.yml: extra_css: styles/gone.css is not in the docs folder"),
        Problem("missing extra file", "mkdocs.yml: extra_javascript: javascripts/mathjax.js is not in the docs folder"),
        Problem(
            "other host",
            "mkdocs.yml: extra_javascript: https://unpkg.com/m.js is loaded from another host at run time; put the file "
            "into the docs folder and name it by its path",
        ),
        Problem("missing page", "mkdocs.yml: nav: gone.md is not in the docs folder"),
        Problem("broken link", "part/index.md: nowhere.md is not in the docs folder"),
        Problem("broken link", "part/index.md: p.png is not in the docs folder"),
        Problem("broken link", "part/index.md: ../d.md is not in the docs folder"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b.md) and [c [d]](e%20f.md#g 'title')", ["b.md", "e f.md"]),
        ("[![i](i.png)](t.md)", ["t.md"]),
        ("[a](<b c.md>)", ["b c.md"]),
        ("[a](f(1).md)", ["f(1).md"]),
        ("[a](#x) [b](https://x/y.md) [c](mailto:a@b) [d](/abs.md) [e](//h/x)", []),
        ("`[a](b.md)` ``[c](`d.md)``", []),
        ("```md\n[a](b.md)\n```\n[c](d.md)", ["d.md"]),
        ("- x\n\n    ```\n    [a](b.md)\n    ```\n\n    [c](d.md)", ["d.md"]),
        ("text\n\n    [a](b.md)\n\ntext [c](d.md)", ["d.md"]),
        ("!!! note\n\n    [a](b.md)", ["b.md"]),
        ("<!-- [a](b.md) -->[c](d.md)", ["d.md"]),
        ("[^1]: note\n[x]: y.md", ["y.md"]),
    ],
)
def test_s8_links_are_read_as_a_reader_sees_them(text: str, expected: list[str]) -> None:
    """Code, comments and addresses of other places are no relative links."""
    assert list(links(text)) == expected


def test_s8_the_known_plugins_are_those_of_the_lock() -> None:
    """What the static check takes for there is what MkDocs finds in the image, and minify, which is replaced."""
    assert set(get_plugins()) - {"docsite/openapi"} <= PLUGINS
    assert {name for name in PLUGINS if "/" in name} <= set(get_plugins())
    assert PLUGINS - {"minify"} <= set(get_plugins()) | {name.removeprefix("material/") for name in get_plugins()}


def test_s8_the_rarest_kind_is_shown_first() -> None:
    """Sixty broken links do not hide the one missing plugin."""
    problems = [Problem("broken link", f"{number}.md") for number in range(60)] + [Problem("missing plugin", "x")]

    assert rarest_first(problems)[0].kind == "missing plugin"
    assert counts(problems) == {"missing plugin": 1, "broken link": 60}


@pytest.mark.parametrize("config", ["site_name: [unclosed", "- x", "INHERIT: gone.yml", "a: b: c"])
def test_s8_a_config_that_is_no_yaml_is_refused(tmp_path: Path, config: str) -> None:
    """The refusal names the file, in one line."""
    with pytest.raises(ConfigUnreadable, match=r"\A(mkdocs|gone)\.yml [^\n]+\Z"):
        check(_source(tmp_path, config))


def test_s8_inherited_settings_count(tmp_path: Path) -> None:
    """What stands in the file that INHERIT names is checked too."""
    source = _source(tmp_path, "INHERIT: base.yml\nsite_name: x\n")
    (source / "base.yml").write_text("plugins: [gone]\n")

    assert [problem.kind for problem in check(source)] == ["missing plugin"]


def test_s8_it_can_be_loaded_by_its_path() -> None:
    """A program that has PyYAML and nothing of this image can use it."""
    spec = importlib.util.spec_from_file_location("loaded_by_path", HERE / "docsite/static_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)

    assert module.check(HERE.parent.parent / "docs") == []
