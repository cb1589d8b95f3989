"""A fault in the documentation stops the build with a message that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_rig import make, make_as_process


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_faultless_project_builds(project: Path, tmp_path: Path) -> None:
    """What has no fault passes, so the refusals below mean something."""
    outcome = make_as_process(project, tmp_path / "site")

    assert outcome.code == 0, outcome.text
    assert (tmp_path / "site/guide/a/index.html").is_file()


def test_relative_paths_are_the_callers(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OUT is where the caller stands, not below the documentation, which may be read-only."""
    monkeypatch.chdir(tmp_path)

    assert make(Path("project"), Path("site")).code == 0

    assert (tmp_path / "site/index.html").is_file()


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("[b](guide/missing.md)", ["index.md", "guide/missing.md"]),
        ("[b](guide/a.md#nowhere)", ["index.md", "#nowhere"]),
        ("[b](#nowhere)", ["index.md", "#nowhere"]),
        ("[b](/guide/a.md)", ["index.md", "/guide/a.md"]),
        ("[b](guide/a)", ["index.md", "guide/a"]),
        ("![b](picture.png)", ["index.md", "picture.png"]),
    ],
    ids=["link", "anchor", "own anchor", "absolute link", "link without suffix", "image"],
)
def test_a_broken_reference_fails_and_is_named(project: Path, tmp_path: Path, page: str, names: list[str]) -> None:
    """A broken link, anchor or image stops the build, naming the page and the target."""
    _append(project / "docs/index.md", f"\n{page}\n")

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 1
    assert all(name in outcome.text for name in names), outcome.text


def test_an_orphan_page_fails_and_is_named(project: Path, tmp_path: Path) -> None:
    """A page that no reader can reach through the navigation is a fault."""
    (project / "docs/orphan.md").write_text("# Orphan\n")

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 1
    assert "orphan.md" in outcome.text


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (
            "extra_javascript: [javascripts/mathjax.js]",
            ["extra_javascript", "javascripts/mathjax.js", "not in the docs"],
        ),
        ("extra_css: [stylesheets/extra.css]", ["extra_css", "stylesheets/extra.css", "not in the docs"]),
        ("extra_javascript: ['https://unpkg.com/mathjax@3/m.js']", ["extra_javascript", "unpkg.com", "another host"]),
        ("nav_typo: [x]", ["nav_typo"]),
    ],
    ids=["missing script", "missing style", "script of another host", "unknown option"],
)
def test_a_fault_in_mkdocs_yml_names_the_option(project: Path, tmp_path: Path, line: str, names: list[str]) -> None:
    """mkdocs links missing and foreign extra files without a word; here they are faults."""
    _append(project / "mkdocs.yml", f"\n{line}\n")

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 1
    assert all(name in outcome.text for name in names), outcome.text


def test_lenient_mode_reports_the_same_faults_and_builds(project: Path, tmp_path: Path) -> None:
    """DOCS_STRICT=false is for a tree that can't be fixed today: every problem is logged, and a site is made."""
    _append(project / "docs/index.md", "\n[b](guide/missing.md)\n")

    outcome = make(project, tmp_path / "site", DOCS_STRICT="false")

    assert outcome.code == 0
    assert "guide/missing.md" in outcome.text
    assert (tmp_path / "site/index.html").is_file()


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("site_name: [unclosed", ["mkdocs.yml"]),
        ("theme: {name: material}\n", ["mkdocs.yml", "site_name"]),
        ("site_name: x\ndocs_dir: nowhere\n", ["mkdocs.yml", "docs_dir", "nowhere"]),
        ("- site_name", ["mkdocs.yml", "mapping"]),
        ("INHERIT: gone.yml\n", ["mkdocs.yml", "gone.yml"]),
    ],
    ids=["yaml", "site_name", "docs_dir", "list", "inherited"],
)
def test_a_config_that_does_not_load_is_reported(project: Path, tmp_path: Path, config: str, names: list[str]) -> None:
    """Bad input ends with exit code 2 and a sentence, not with a traceback."""
    (project / "mkdocs.yml").write_text(config)

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 2, outcome.text
    assert all(name in outcome.text for name in names), outcome.text
    assert "Traceback" not in outcome.text


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("plugins: [no-such-plugin]", ["missing plugin", "no-such-plugin"]),
        ("theme: {name: no-such-theme}", ["setting", "no-such-theme"]),
        ("theme: {name: material, custom_dir: gone}", ["setting", "gone"]),
        ("markdown_extensions: [no_such.extension]", ["missing extension", "no_such.extension"]),
        ("hooks: [gone.py]", ["setting", "gone.py"]),
        ("edit_uri: 3", ["setting", "edit_uri"]),
    ],
)
def test_s8_a_setting_that_can_not_be_used_costs_that_setting(
    project: Path, tmp_path: Path, line: str, names: list[str]
) -> None:
    """What the image does not have is a problem, and the site is built without it; a strict site is refused."""
    (project / "mkdocs.yml").write_text(f"site_name: x\nnav: [index.md, guide/a.md]\n{line}\n")

    lenient, strict = make(project, tmp_path / "a"), make(project, tmp_path / "b", DOCS_STRICT="true")

    assert (lenient.code, strict.code) == (0, 1), lenient.text
    assert all(name in lenient.text for name in names), lenient.text
    assert (tmp_path / "a/guide/a/index.html").is_file()
    assert "Traceback" not in lenient.text


def test_a_source_that_is_no_documentation_says_what_it_holds(tmp_path: Path) -> None:
    """Pointing at the wrong folder is answered with what was looked for and what was found."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/README.md").write_text("x")

    outcome = make(tmp_path / "src", tmp_path / "site")

    assert outcome.code == 2
    assert "mkdocs.yml" in outcome.text
    assert "README.md" in outcome.text


def test_web_fonts_minify_and_a_sub_path_are_put_right(project: Path, tmp_path: Path) -> None:
    """A config made for GitHub Pages builds unedited, and each change to it is said."""
    text = (project / "mkdocs.yml").read_text().replace("font: false", "font: {text: Roboto}")
    text = text.replace("plugins: [search]", "plugins: [search, {minify: {minify_html: true}}]")
    (project / "mkdocs.yml").write_text(text + "site_url: https://example.org/project/\n")

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 0, outcome.text
    assert all(word in outcome.text for word in ("theme.font", "minify", "site_url"))
    assert "googleapis" not in (tmp_path / "site/index.html").read_text()
    assert 'href="/assets/' in (tmp_path / "site/404.html").read_text()


def test_a_prebuilt_site_is_copied_without_hidden_files(tmp_path: Path) -> None:
    """A site that another tool built is taken as it is, but .git and .env stay behind."""
    source = tmp_path / "built"
    (source / ".git").mkdir(parents=True)
    (source / ".git/config").write_text("x")
    (source / ".env").write_text("TOKEN=x")
    (source / "index.html").write_text("<h1>x</h1>")

    outcome = make(source, tmp_path / "site")

    assert outcome.code == 0, outcome.text
    assert [path.name for path in (tmp_path / "site").rglob("*")] == ["index.html"]


def test_the_404_page_leads_on(project: Path, tmp_path: Path) -> None:
    """A reader who mistypes can search, go to the front page, and go to every part of the site, without a script."""
    assert make(project, tmp_path / "site").code == 0

    article = (tmp_path / "site/404.html").read_text().partition("<article")[2].partition("</article>")[0]
    assert '<form action="/" method="get"' in article
    assert 'name="q"' in article
    assert 'href="/"' in article
    assert 'href="/guide/a/">A</a>' in article


def test_the_authors_own_404_page_stays(project: Path, tmp_path: Path) -> None:
    """A 404.html in the theme's custom_dir is used as it is."""
    (project / "theme").mkdir()
    (project / "theme/404.html").write_text("my own\n")
    config = (project / "mkdocs.yml").read_text()
    (project / "mkdocs.yml").write_text(config.replace("name: material,", "name: material, custom_dir: theme,"))

    assert make(project, tmp_path / "site").code == 0

    assert (tmp_path / "site/404.html").read_text().strip() == "my own"
