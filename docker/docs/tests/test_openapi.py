"""OpenAPI documents as pages: every operation, parameter, schema and example is there, as plain HTML."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from docs_rig import REPOSITORY_DOCS, Server, get, make
from docsite.openapi.document import Document, DocumentError
from docsite.openapi.page import render
from docsite.openapi.schema import example, limits, type_of

SERVICES = ["autogen-groupchat", "langgraph-api", "monitoring", "powershell-modules"]
PAGE = "# API\n\n<!-- openapi: api.openapi.json -->\n"
THING = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "description": "Its `id`.", "maxLength": 8},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        "parent": {"$ref": "#/components/schemas/Thing"},
    },
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "things", "version": "1", "description": "Says **what** there is."},
    "security": [{"token": []}],
    "paths": {
        "/things/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "summary": "One thing",
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 10}}
                ],
                "responses": {
                    "200": {
                        "description": "The thing",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    }
                },
            },
            "post": {
                "security": [],
                "requestBody": {
                    "content": {"application/json": {"schema": {"type": "object"}, "example": {"id": "given"}}}
                },
                "responses": {"204": {"description": "Done"}},
            },
        }
    },
    "components": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "parameters": {"Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}},
        "schemas": {"Thing": THING},
    },
}


def _document(**changes: Any) -> Document:
    return Document(json.dumps({**DOCUMENT, **changes}))


def _page(**changes: Any) -> str:
    return "\n".join(render(_document(**changes)).html)


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


class _Links(HTMLParser):
    """The ids of a page, and the fragments that its links name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if tag == "a" and name == "href" and (value or "").startswith("#"):
                self.targets.add((value or "")[1:])


@pytest.mark.parametrize("service", SERVICES)
def test_a_page_has_everything_of_its_document(service: str, server: Server) -> None:
    """Each method with its path, each parameter, status, named schema and field of a service's document is on its page."""
    content = json.loads((REPOSITORY_DOCS / f"pages/services/{service}.openapi.json").read_text())
    document = Document(json.dumps(content))
    text = _text(get(server, f"/services/api/{service}/").text)

    operations = document.operations()
    assert len(operations) == sum(
        key in {"get", "put", "post", "delete", "patch"} for item in content["paths"].values() for key in item
    )
    for operation in operations:
        assert f"{operation.method} {operation.path}" in text
        assert {one["name"] for one in operation.parameters if one["name"] not in text} == set()
    fields = {name for schema in document.schemas.values() for name in schema.get("properties", {})}
    assert {name for name in {*fields, *document.schemas} if name not in text} == set()


@pytest.mark.parametrize("service", SERVICES)
def test_a_page_has_no_script_of_its_own_and_no_dead_link(service: str, server: Server) -> None:
    """The rendered part needs no JavaScript, each id is there once, and each link within the page leads to one."""
    html = get(server, f"/services/api/{service}/").text
    article = html[html.index("<article") : html.index("</article")]
    links = _Links(article)

    assert "<script" not in article
    assert len(links.ids) == len(set(links.ids))
    assert links.targets - set(_Links(html).ids) == set()


def test_an_operation_is_described() -> None:
    """Log-in, parameters of the path and of the operation with type, default and limit, and the responses."""
    text = _text(_page())

    assert "Needs Authorization: Bearer TOKEN ." in text
    assert "Needs no token." in text
    assert "id path, required string" in text
    assert "limit query integer at least 1, default 10" in text
    assert "200 The thing application/json : Thing" in text
    assert "204 Done none" in text


def test_a_schema_is_described() -> None:
    """Fields in their order, those of objects within by their path, and named schemas as links."""
    html = _page()

    assert "id required string Its id . (length at most 8)" in _text(html)
    assert "parts[].size" in html
    assert 'parent</code></td><td><a href="#schema-Thing">Thing</a>' in html


def test_examples_are_the_documents_own_or_made_from_the_schema() -> None:
    """A given example is shown as it is; else the required fields stand with samples of their types."""
    html = _page()

    assert '{ "id" : "given" }' in _text(html)
    assert example(_document(), THING) == {"id": "text"}
    assert example(_document(), {"type": "array", "items": {"enum": ["a", "b"]}}) == ["a"]
    assert example(_document(), {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]}) == 3


def test_text_of_a_document_is_no_markup() -> None:
    """Names with angle brackets are text, and so is a value of an enum."""
    assert "&lt;b&gt;" in type_of(_document(), {"enum": ["<b>"]})
    page = _page(paths={"/<script>": {"get": {"responses": {}}}})
    assert "<script>" not in page
    assert "GET /&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "list of (string or null)"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "map of number"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {}]}, "[string, any]"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "string", "nullable": True}, "string or null"),
        ({"const": 1}, "1"),
    ],
    ids=["any", "list", "list of several", "map", "tuple", "types", "nullable", "const"],
)
def test_a_type_is_named_in_words(schema: dict[str, Any], words: str) -> None:
    """Every form of a schema has a name that a reader knows."""
    assert _text(type_of(_document(), schema)) == words


def test_a_limit_of_one_or_zero_is_shown() -> None:
    """1 and 0 are limits; true and false, as OpenAPI 3.0 has them for exclusive bounds, are not."""
    assert limits({"minimum": 0, "maxItems": 1, "exclusiveMinimum": True}) == "at least 0, number of entries at most 1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON or YAML"),
        ('{"swagger": "2.0"}', "expected 3.x"),
        ("- a list", "expected 3.x"),
        (json.dumps({**DOCUMENT, "components": {}}), "#/components/parameters/Id"),
        (json.dumps(DOCUMENT).replace("#/components/schemas/Thing", "other.json#/Thing"), "other.json#/Thing"),
    ],
    ids=["broken", "swagger 2", "no object", "a reference to nothing", "a reference to another file"],
)
def test_a_document_that_cannot_be_rendered_stops_the_build(
    project: Path, tmp_path: Path, text: str, words: str
) -> None:
    """The message names the page, the document and what is wrong with it."""
    (project / "docs/index.md").write_text(f"{PAGE}\n[a](guide/a.md)\n")
    (project / "docs/api.openapi.json").write_text(text)

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 1, outcome.text
    assert all(part in outcome.text for part in ("index.md", "api.openapi.json", words)), outcome.text
    assert "Traceback" not in outcome.text


def test_a_reference_to_itself_ends() -> None:
    """Two names that stand for each other are refused; a schema that holds itself is fine."""
    loop = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    document = _document(components={**DOCUMENT["components"], "schemas": loop})

    with pytest.raises(DocumentError, match="refers to itself"):
        document.resolved(loop["A"])


def test_a_missing_document_stops_the_build(project: Path, tmp_path: Path) -> None:
    """A page that names a document which is not there is a broken link."""
    (project / "docs/index.md").write_text(PAGE)

    outcome = make(project, tmp_path / "site")

    assert outcome.code == 1
    assert "api.openapi.json" in outcome.text


def test_other_pages_may_link_to_an_operation(project: Path, tmp_path: Path) -> None:
    """The sections are in the table of contents, and a link to one is checked like any other."""
    (project / "docs/index.md").write_text(f"{PAGE}\n[a](guide/a.md)\n")
    (project / "docs/api.openapi.json").write_text(json.dumps(DOCUMENT))
    (project / "docs/guide/a.md").write_text("# A\n\n[get](../index.md#operation-GET-things-id)\n")
    outcome = make(project, tmp_path / "site")
    assert outcome.code == 0, outcome.text
    html = (tmp_path / "site/index.html").read_text()
    assert html.count('href="#operation-GET-things-id"') >= 3, "the overview, the heading's own link, the contents"

    (project / "docs/guide/a.md").write_text("# A\n\n[get](../index.md#operation-GET-nothing)\n")

    assert make(project, tmp_path / "site").code == 1


def test_yaml_is_read_as_well(project: Path, tmp_path: Path) -> None:
    """A document in YAML gives the same page."""
    (project / "docs/index.md").write_text("# API\n\n[a](guide/a.md)\n\n<!-- openapi: api.yaml -->\n")
    (project / "docs/api.yaml").write_text("openapi: 3.0.3\ninfo: {title: x}\npaths: {/a: {get: {responses: {}}}}\n")

    assert make(project, tmp_path / "site").code == 0

    assert "GET /a" in (tmp_path / "site/index.html").read_text()
