"""The documentation that is baked into the image, searchable without a network."""

from __future__ import annotations

import difflib
import functools
import itertools
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from mcp.server.mcpserver.resources import FunctionResource, Resource
from pydantic import Field
from typing_extensions import TypedDict

from mcp_service.offers import NotThere, prompt, template
from mcp_service.pages import Page, load
from mcp_service.ranking import Index
from mcp_service.settings import Settings
from mcp_service.toolset import Source, Toolset, reads

_MOST, _MOST_LISTED = 100_000, 500


class Hit(TypedDict):
    """One section that answers a query."""

    page: str
    title: str
    section: str
    score: float
    snippet: str


class Hits(TypedDict):
    """The best sections, best first, and how many there were."""

    results: list[Hit]
    total: int


class Text(TypedDict):
    """One page."""

    page: str
    title: str
    text: str
    truncated: bool


class Entry(TypedDict):
    """One page in the list."""

    page: str
    title: str
    sections: list[str]


class Entries(TypedDict):
    """Every page, by name."""

    pages: list[Entry]


class Docs:
    """Reads the pages once; they can't change in a running image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pages: dict[str, Page] = {page.name: page for page in load(root)}
        self.index = Index(section for page in self.pages.values() for section in page.sections)

    def check(self) -> str:
        """The index is there when at least one page is."""
        return "" if self.pages else f"no page in {self.root}"

    def search(
        self,
        query: Annotated[str, Field(min_length=1, max_length=500)],
        limit: Annotated[int, Field(ge=1, le=50)] = 5,
    ) -> Hits:
        """Search the documentation for words; each result is a section, its page can be had with `read`."""
        found, total = self.index.search(query, limit)
        results = [
            Hit(
                page=section.page,
                title=section.title,
                section=section.heading,
                score=round(score, 3),
                snippet=self.index.snippet(section, query),
            )
            for section, score in found
        ]
        return Hits(results=results, total=total)

    def read(self, page: Annotated[str, Field(description="A page as list_pages or search names it")]) -> Text:
        """Read one page of the documentation, in Markdown."""
        found = self.pages.get(page) or self.pages.get(f"{page}.md") or self.pages.get(f"{page.rstrip('/')}/index.md")
        if found is None:
            near = difflib.get_close_matches(page, self.pages, n=3, cutoff=0.4)
            raise NotThere(f"no page {page!r}" + (f"; perhaps {', '.join(near)}" if near else "; see list_pages"))
        return Text(page=found.name, title=found.title, text=found.text[:_MOST], truncated=len(found.text) > _MOST)

    def list_pages(self) -> Entries:
        """List the pages of the documentation with their titles and sections."""
        return Entries(
            pages=[
                Entry(page=page.name, title=page.title, sections=[s.heading for s in page.sections if s.heading])
                for page in self.pages.values()
            ]
        )

    def page_text(self, page: str) -> str:
        """One page of the documentation, in Markdown; `page` is a name that list_pages gives."""
        return self.read(page)["text"]

    def resources(self) -> tuple[Resource, ...]:
        """The pages one by one, as clients list them for a user to attach; of many, the first ones."""
        return tuple(
            FunctionResource(
                uri=f"docs:///{quote(page.name)}",
                name=page.name,
                title=page.title,
                mime_type="text/markdown",
                fn=functools.partial(self.page_text, page.name),
            )
            for page in itertools.islice(self.pages.values(), _MOST_LISTED)
        )

    def answer_from_docs(self, question: Annotated[str, Field(min_length=1, max_length=500)]) -> str:
        """Answer a question from the documentation of this system, with the pages that it comes from."""
        hits = self.search(question, 5)["results"]
        found = "\n\n".join(f"## {hit['page']} - {hit['section'] or hit['title']}\n{hit['snippet']}" for hit in hits)
        return (
            f"Answer this question from the documentation of this system: {question}\n\n"
            "Read the pages that fit with the tool `read`, name the pages that your answer comes from, and say so if "
            f"they don't answer it. A search found:\n\n{found or 'nothing'}"
        )


def build(settings: Settings) -> Toolset:
    """The docs server."""
    tools = Docs(settings.docs)
    return Toolset(
        title="Documentation",
        instructions="Search the documentation of this system with search, then read the page that fits.",
        tools=reads(tools.search, tools.read, tools.list_pages),
        prompts=(prompt("Answer from the documentation", tools.answer_from_docs),),
        resources=tools.resources(),
        templates=(template("docs:///{+page}", "A page of the documentation", tools.page_text),),
        checks={"docs": tools.check},
        sources=(Source(name="pages", check="docs", count=len(tools.pages)),),
    )
