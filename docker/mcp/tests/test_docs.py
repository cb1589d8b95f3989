"""Which pages are found in a source, how they are cut, and what a search ranks first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from mcp_rig import LocalServer, Server
from mcp_service.pages import bake, load, parse
from mcp_service.ranking import Index, words


def call(server: Server, tool: str, **arguments: Any) -> dict[str, Any]:
    """One call's structured answer, or its text when it is an error."""

    async def once() -> dict[str, Any]:
        async with server.client() as client:
            result = await client.call_tool(tool, arguments)
            return result.structured_content or {"error": getattr(result.content[0], "text", "")}

    return asyncio.run(once())


def test_search_finds_the_section(local_servers: dict[str, LocalServer]) -> None:
    """The section whose heading says it comes first, with the lines that say it."""
    found = call(local_servers["docs"], "search", query="where are the secrets?", limit=2)
    assert found["results"][0]["section"] == "Where secrets live"
    assert "/run/secrets" in found["results"][0]["snippet"]
    assert call(local_servers["docs"], "search", query="zebra") == {"results": [], "total": 0}


def test_read_and_list(local_servers: dict[str, LocalServer]) -> None:
    """A page is read by the name that the list gives; an unknown one is answered with near names."""
    listed = call(local_servers["docs"], "list_pages")["pages"]
    assert {page["page"]: page["title"] for page in listed} == {
        "index.md": "Welcome",
        "guide/rotation.md": "Rotating tokens",
        "modules/compile-log.md": "Unity-Claude-CompileLog",
        "other.md": "Other",
    }
    assert call(local_servers["docs"], "read", page="guide/rotation.md")["text"].startswith("Overwrite the file")
    assert "perhaps guide/rotation.md" in call(local_servers["docs"], "read", page="guides/rotate.md")["error"]
    assert "no page" in call(local_servers["docs"], "read", page="../../../../etc/passwd")["error"]


def test_headings_in_code_are_no_headings() -> None:
    """A comment in a shell example does not cut a section."""
    page = parse("a.md", "# A\n\n~~~~sh\n# one\n~~~\n# two\n~~~~\n\n## B {#anchor}\n")
    assert [section.heading for section in page.sections] == ["A", "B"]


def test_words_split_names() -> None:
    """CamelCase, snake_case and plurals find each other."""
    assert {"convertfrom", "unitycompilelog", "unity", "compile", "log"} <= set(words("ConvertFrom-UnityCompileLogs"))
    assert "token" in words("Tokens")


def test_a_beginning_finds_the_word(docs_tree: Path) -> None:
    """A word that no page holds finds the longer ones that begin with it."""
    index = Index(section for page in load(docs_tree) for section in page.sections)
    assert [section.page for section, _ in index.search("rotat", 3)[0]][:1] == ["guide/rotation.md"]


def test_only_pages_are_baked(tmp_path: Path) -> None:
    """A rough source gives its pages alone: nothing hidden, no installed packages, no links out, no token file."""
    source = tmp_path / "source"
    for name in (
        "mkdocs.yml",
        "pages/index.md",
        "pages/a/b.MD",
        "pages/logo.png",
        "pages/token.txt",
        "pages/.draft.md",
        "pages/.git/x.md",
        "pages/node_modules/x.md",
        "pages/venv/pyvenv.cfg",
        "pages/venv/x.md",
        "CHANGES.md",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("docs_dir: pages\n")
    (source / "pages/link.md").symlink_to("/etc/hostname")
    (source / "pages/index.md").chmod(0o600)
    assert bake(source, tmp_path / "out") == 2
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["a/b.MD", "index.md"]
    assert (tmp_path / "out/index.md").stat().st_mode & 0o777 == 0o644


def test_a_built_site_is_read_as_text(tmp_path: Path) -> None:
    """Where there is no Markdown, HTML pages give their headings, text and code, without navigation and scripts."""
    (tmp_path / "index.html").write_text(
        "<title>Home - Site</title><nav><a>Menu</a></nav><script>var x</script>"
        "<main><h1>Home<a>¶</a></h1><p>Read\n me</p><h2>Run</h2><pre><code>a\n  b</code></pre></main>"
    )
    (page,) = load(tmp_path)
    assert page.title == "Home - Site"
    assert [(section.heading, section.text) for section in page.sections] == [
        ("Home", "Read me"),
        ("Run", "```\na\n  b\n```"),
    ]
