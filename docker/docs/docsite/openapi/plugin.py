"""The plugin that puts a document where a page asks for it: `<!-- openapi: NAME.openapi.json -->`."""

from __future__ import annotations

import logging
import posixpath
import re

from mkdocs.config.base import Config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import BasePlugin
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page as SitePage
from mkdocs.structure.toc import AnchorLink

from docsite.openapi.document import Document, DocumentError
from docsite.openapi.page import Heading, render

MARKER = re.compile(r"<!--\s*openapi:\s*(\S+)\s*-->")
_log = logging.getLogger("mkdocs.plugins.openapi")


class NoSettings(Config):  # type: ignore[no-untyped-call]
    """The plugin is always there, so mkdocs.yml has nothing to set."""


class OpenApiPages(BasePlugin[NoSettings]):  # type: ignore[no-untyped-call]
    """A document that can't be rendered is a problem of the page that names it."""

    def on_page_content(self, html: str, /, *, page: SitePage, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG002
        """The page's HTML with every document that it names."""
        return MARKER.sub(lambda match: self._rendered(match[1], page, files), html)

    def _rendered(self, name: str, page: SitePage, files: Files) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), name))
        file = files.get_file_from_path(path)
        if file is None:
            _log.warning("Doc file '%s' names the OpenAPI document '%s', which is not there.", page.file.src_uri, name)
            return ""
        try:
            rendered = render(Document(file.content_string))
        except DocumentError as error:
            _log.warning("Doc file '%s': OpenAPI document '%s': %s", page.file.src_uri, name, error)
            return ""
        _extend(page, rendered.headings)
        return "\n".join(rendered.html)


def _extend(page: SitePage, headings: list[Heading]) -> None:
    """Add the headings to the page's table of contents and to the anchors that links may name."""
    levels: list[tuple[int, list[AnchorLink]]] = [(0, page.toc.items)]
    if page.toc.items and page.toc.items[0].level == 1:
        levels.append((1, page.toc.items[0].children))
    for heading in headings:
        link = AnchorLink(heading.title, heading.anchor, heading.level)
        while levels[-1][0] >= heading.level:
            levels.pop()
        levels[-1][1].append(link)
        levels.append((heading.level, link.children))
    page.present_anchor_ids = (page.present_anchor_ids or set()) | {heading.anchor for heading in headings}
