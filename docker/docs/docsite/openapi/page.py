"""A document as the HTML of a page: how to log in, a table of the operations, a section for each, the schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import markdown  # type: ignore[import-untyped]

from docsite.openapi import schema as schemas
from docsite.openapi.document import Document, Node, Operation, schema_anchor, slug

_MARKDOWN = markdown.Markdown(extensions=["tables", "pymdownx.highlight", "pymdownx.superfences"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A heading for the page's table of contents; `title` is HTML."""

    level: int
    anchor: str
    title: str


@dataclass(slots=True)
class Page:
    """The HTML so far, and its headings in order."""

    html: list[str] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)

    def heading(self, level: int, anchor: str, title: str) -> None:
        """Add a heading with its own link."""
        self.headings.append(Heading(level=level, anchor=anchor, title=title))
        link = f'<a class="headerlink" href="#{anchor}" title="Permanent link">&para;</a>'
        self.html.append(f'<h{level} id="{anchor}">{title}{link}</h{level}>')

    def table(self, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        """Add a table; cells are HTML. A table without rows is left out."""
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        if body:
            head = "".join(f"<th>{column}</th>" for column in columns)
            self.html.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def example(self, label: str, value: Any) -> None:
        """Add a JSON value, highlighted and kept out of the search index."""
        code = _text(f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```")
        self.html.append(f"<div data-search-exclude><p>{label}</p>{code}</div>")


def render(document: Document) -> Page:
    """The page of a document. Raises DocumentError if a reference in it leads nowhere."""
    page = Page()
    page.html.append(_text(document.info.get("description", "")))
    _overview(document, page)
    group = None
    for operation in document.operations():
        if operation.group != group:
            group = operation.group
            title = group or "Other operations" if any(one.group for one in document.operations()) else "Operations"
            page.heading(2, f"tag-{slug(title)}", escape(title))
        _operation(document, page, operation)
    if document.schemas:
        page.heading(2, "schemas", "Schemas")
    for name, node in document.schemas.items():
        page.heading(3, schema_anchor(name), escape(name))
        _schema(document, page, node)
    return page


def _overview(document: Document, page: Page) -> None:
    page.heading(2, "overview", "Overview")
    page.table(
        ("Request", "Does"),
        (
            (f'<a href="#{one.anchor}"><code>{escape(one.title)}</code></a>', _inline(one.node.get("summary", "")))
            for one in document.operations()
        ),
    )


def _operation(document: Document, page: Page, operation: Operation) -> None:
    node = operation.node
    page.heading(3, operation.anchor, f"<code>{escape(operation.title)}</code>")
    if node.get("deprecated"):
        page.html.append("<p><strong>Deprecated.</strong></p>")
    page.html.append(_text(node.get("summary", "")) + _text(node.get("description", "")))
    page.html.append(f"<p>{_login(document, node)}</p>")
    page.table(
        ("Parameter", "Type", "Means"),
        (
            (
                f"<code>{escape(one['name'])}</code><br>{', '.join([escape(one['in']), *_required(one)])}",
                schemas.type_of(document, one.get("schema", {})),
                _means(one.get("description", ""), schemas.limits(one.get("schema"))),
            )
            for one in operation.parameters
        ),
    )
    if body := node.get("requestBody"):
        _body(document, page, document.resolved(body))
    _responses(document, page, node)


def _required(parameter: Node) -> list[str]:
    return ["required"] if parameter.get("required") else []


def _login(document: Document, node: Node) -> str:
    """How to send the token, in a sentence."""
    choices = node.get("security", document.content.get("security", []))
    headers = [_header(document.security_schemes.get(name, {}), name) for choice in choices for name in choice]
    return f"Needs {' or '.join(dict.fromkeys(headers))}." if headers else "Needs no token."


def _header(scheme: Node, name: str) -> str:
    if scheme.get("type") == "http":
        return f"<code>Authorization: {escape(str(scheme.get('scheme', '')).capitalize())} TOKEN</code>"
    if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
        return f"<code>{escape(scheme['name'])}: TOKEN</code>"
    return escape(name)


def _body(document: Document, page: Page, body: Node) -> None:
    need = "required" if body.get("required") else "optional"
    page.html.append(_text(body.get("description", "")))
    for kind, media in body.get("content", {}).items():
        node = media.get("schema", {})
        page.html.append(
            f"<p><strong>Body</strong>, {need}, <code>{escape(kind)}</code>: {schemas.type_of(document, node)}</p>"
        )
        _fields(document, page, node)
        if "json" in kind:
            page.example("An example of the body:", _media_example(document, media))


def _responses(document: Document, page: Page, node: Node) -> None:
    responses = {str(status): document.resolved(one) for status, one in node.get("responses", {}).items()}
    page.table(
        ("Status", "Means", "Body"),
        (
            (f"<code>{escape(status)}</code>", _inline(one.get("description", "")), _bodies(document, one))
            for status, one in responses.items()
        ),
    )
    for status, one in responses.items():
        media = one.get("content", {}).get("application/json")
        if status.startswith("2") and media:
            _fields(document, page, media.get("schema", {}))
            page.example(f"A response with status {escape(status)}:", _media_example(document, media))


def _bodies(document: Document, response: Node) -> str:
    content = response.get("content", {})
    texts = [f"<code>{escape(kind)}</code>: {schemas.type_of(document, media.get('schema', {}))}"
             for kind, media in content.items()]  # fmt: skip
    return "<br>".join(texts) or "none"


def _media_example(document: Document, media: Node) -> Any:
    for one in media.get("examples", {}).values():
        return document.resolved(one).get("value")
    return media["example"] if "example" in media else schemas.example(document, media.get("schema", {}))


def _schema(document: Document, page: Page, node: Any) -> None:
    described = node.get("description", "") if isinstance(node, dict) else ""
    limit = schemas.limits(node)
    page.html.append(_text(described))
    page.html.append(f"<p>Type: {schemas.type_of(document, node)}{f', {limit}' if limit else ''}</p>")
    _fields(document, page, node)


def _fields(document: Document, page: Page, node: Any) -> None:
    page.table(
        ("Field", "Type", "Means"),
        (
            (f"<code>{escape(one.name)}</code>{'<br>required' if one.required else ''}", one.type,
             _means(one.text, one.limits))
            for one in schemas.fields(document, node)
        ),
    )  # fmt: skip


def _means(description: str, limit: str) -> str:
    return " ".join(filter(None, (_inline(description), f"({limit})" if limit and description else limit)))


def _text(text: str) -> str:
    """A description, which OpenAPI has in Markdown, as HTML."""
    return str(_MARKDOWN.reset().convert(text)) if text else ""


def _inline(text: str) -> str:
    """The same for a cell: a single paragraph without its tags."""
    html = _text(text)
    single = html.startswith("<p>") and html.endswith("</p>") and html.count("<p>") == 1
    return html[3:-4] if single else html
