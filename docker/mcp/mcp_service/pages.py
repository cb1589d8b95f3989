"""Finds the pages in a documentation source and cuts them into sections.

`python -m mcp_service.pages FROM TO` bakes them: the image gets the pages alone, readable by everyone.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcp_service.html_text import to_markdown

_MARKDOWN = frozenset({".md", ".markdown"})
_HTML = frozenset({".html", ".htm"})
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})
_LARGEST = 4 * 1024 * 1024
_DOCS_DIR = re.compile(r"^docs_dir:\s*['\"]?([^'\"#\s]+)", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:\s*['\"]?(.+?)['\"]?\s*$", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_ATTRIBUTES = re.compile(r"\s*\{[^}]*\}\s*$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and the text under it; the text before the first heading has none."""

    page: str
    title: str
    heading: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page, named by its path in the source."""

    name: str
    title: str
    text: str
    sections: tuple[Section, ...]


def root_of(source: Path) -> Path:
    """The folder of pages: mkdocs.yml's docs_dir (docs when it names none), else the source itself."""
    for name in ("mkdocs.yml", "mkdocs.yaml"):
        config = source / name
        if config.is_file():
            named = _DOCS_DIR.search(config.read_text("utf-8", "replace"))
            folder = source / (named[1] if named else "docs")
            return folder if folder.is_dir() else source
    return source


def find(root: Path) -> Iterator[Path]:
    """Markdown files, or HTML ones where there is no Markdown; never in hidden folders or installed packages."""
    files = sorted(_files(root))
    markdown = [path for path in files if path.suffix.lower() in _MARKDOWN]
    yield from markdown or [path for path in files if path.suffix.lower() in _HTML]


def _files(root: Path) -> Iterator[Path]:
    # Links are not followed: a source tree decides only over what lies in it.
    for folder, names, files in os.walk(root):
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        names[:] = [name for name in names if not name.startswith(".") and name not in _SKIPPED]
        for name in files:
            path = Path(folder, name)
            if not (name.startswith(".") or path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST):
                yield path


def load(root: Path) -> Iterator[Page]:
    """Every page under root."""
    for path in find(root):
        text = path.read_bytes().decode("utf-8-sig", "replace")
        if path.suffix.lower() in _HTML:
            text = to_markdown(text)
        yield parse(path.relative_to(root).as_posix(), text)


def parse(name: str, text: str) -> Page:
    """Cut at headings that are outside fenced code; the title is the front matter's, the first heading, or the name."""
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    parts = list(_split(body))
    named = _TITLE.search(front[1]) if front else None
    first = next((heading for heading, _ in parts if heading), "")
    title = named[1] if named else first or Path(name).stem
    sections = tuple(
        Section(page=name, title=title, heading=heading, text=content)
        for heading, content in parts
        if heading or content
    )
    return Page(name=name, title=title, text=body, sections=sections)


def _split(body: str) -> Iterator[tuple[str, str]]:
    heading, lines, fence = "", list[str](), ""
    for line in body.splitlines():
        marker = _FENCE.match(line)
        if marker and not fence:
            fence = marker[1]
        elif marker and marker[1].startswith(fence):
            fence = ""
        found = None if fence else _HEADING.match(line)
        if found:
            yield heading, "\n".join(lines).strip()
            heading, lines = _ATTRIBUTES.sub("", found[2]), []
        else:
            lines.append(line)
    yield heading, "\n".join(lines).strip()


def bake(source: Path, target: Path) -> int:
    """Copy the pages of source to target and return how many there were."""
    root, count = root_of(source), 0
    for path in find(root):
        out = target / path.relative_to(root)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(path.read_bytes())
        out.chmod(0o644)
        count += 1
    return count


if __name__ == "__main__":
    if not bake(Path(sys.argv[1]), Path(sys.argv[2])):
        sys.exit(
            "the docs source holds no page (*.md, or *.html of a built site): [sources].docs names the wrong folder"
        )
