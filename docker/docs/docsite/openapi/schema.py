"""JSON schemas in words and as examples: types with links to named schemas, limits, fields, a value that fits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from docsite.openapi.document import Document, Node, schema_anchor

NAMED = "#/components/schemas/"
# Deeper objects are named by their type alone; a schema that holds itself ends here as well.
DEPTH = 3
_LIMITS = {
    "format": "{}",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minItems": "number of entries at least {}",
    "maxItems": "number of entries at most {}",
    "pattern": "pattern <code>{}</code>",
}
_SAMPLES: dict[str, Any] = {"string": "text", "integer": 0, "number": 0.5, "boolean": True, "null": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A row of a schema's table; `name` has the path of an object within: `deliveries[].status`.

    `text` is Markdown; `type` and `limits` are HTML.
    """

    name: str
    type: str
    required: bool
    text: str
    limits: str


def type_of(document: Document, schema: Any) -> str:
    """The type as HTML. Raises DocumentError if a reference leads nowhere."""
    if not isinstance(schema, dict) or not schema:
        return "nothing" if schema is False else "any"
    if reference := schema.get("$ref"):
        document.resolved(schema)
        if not reference.startswith(NAMED):
            return type_of(document, document.resolved(schema))
        name = reference.removeprefix(NAMED)
        return f'<a href="#{schema_anchor(name)}">{escape(name)}</a>'
    for key, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if parts := schema.get(key):
            return word.join(dict.fromkeys(type_of(document, part) for part in parts))
    if "const" in schema:
        return _value(schema["const"])
    if "enum" in schema:
        return " or ".join(_value(value) for value in schema["enum"])
    types = schema.get("type", "object" if "properties" in schema else "any")
    names = types if isinstance(types, list) else [types]
    text = " or ".join(_plain(document, name, schema) for name in names)
    return f"{text} or null" if schema.get("nullable") else text


def _plain(document: Document, name: str, schema: Node) -> str:
    if name == "array":
        if entries := schema.get("prefixItems"):
            return f"[{', '.join(type_of(document, entry) for entry in entries)}]"
        entry = type_of(document, schema.get("items"))
        return f"list of ({entry})" if " or " in entry else f"list of {entry}"
    values = schema.get("additionalProperties")
    if name == "object" and isinstance(values, dict) and values and not schema.get("properties"):
        return f"map of {type_of(document, values)}"
    return escape(name)


def _value(value: Any) -> str:
    return f"<code>{escape(json.dumps(value, ensure_ascii=False))}</code>"


def limits(schema: Any) -> str:
    """The default of a value, and what it must fulfil beside its type, as HTML; empty if nothing."""
    if not isinstance(schema, dict):
        return ""
    parts = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    texts = [text.format(escape(str(part[key]))) for part in parts if isinstance(part, dict)
             for key, text in _LIMITS.items() if key in part and not isinstance(part[key], bool)]  # fmt: skip
    given = [f"default {_value(schema['default'])}"] if "default" in schema else []
    return ", ".join(dict.fromkeys([*texts, *given]))


def fields(document: Document, schema: Any, prefix: str = "", depth: int = DEPTH) -> Iterator[Field]:
    """Yield the fields of an object, and of objects within it that have no name of their own."""
    if not isinstance(schema, dict):
        return
    for part in schema.get("allOf", []):
        yield from fields(document, document.resolved(part), prefix, depth)
    required = set(schema.get("required", []))
    for name, value in schema.get("properties", {}).items():
        node = value if isinstance(value, dict) else {}
        yield Field(
            name=f"{prefix}{name}",
            type=type_of(document, value),
            required=name in required,
            text=str(node.get("description", "")),
            limits=limits(node),
        )
        inner, mark = (node.get("items"), "[].") if node.get("type") == "array" else (node, ".")
        if depth > 1 and isinstance(inner, dict) and "$ref" not in inner:
            yield from fields(document, inner, f"{prefix}{name}{mark}", depth - 1)


def example(document: Document, schema: Any, depth: int = DEPTH + 1) -> Any:
    """A value that fits: the document's own example, else the required fields with samples of their types."""
    if not isinstance(schema, dict):
        return None
    schema = document.resolved(schema)
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf"):
        if parts := schema.get(key):
            return example(document, parts[0], depth)
    if parts := schema.get("allOf"):
        samples = [example(document, part, depth) for part in parts]
        return {key: value for sample in samples if isinstance(sample, dict) for key, value in sample.items()}
    return _sample(document, schema, depth)


def _sample(document: Document, schema: Node, depth: int) -> Any:
    types = schema.get("type", "object" if "properties" in schema else "null")
    name = types[0] if isinstance(types, list) else types
    if name == "array":
        return [example(document, schema.get("items"), depth - 1)] if depth > 0 and schema.get("items") else []
    if name == "object":
        properties = schema.get("properties", {}) if depth > 0 else {}
        chosen = [key for key in properties if key in schema.get("required", properties)]
        return {key: example(document, properties[key], depth - 1) for key in chosen}
    if name in {"integer", "number"}:
        return schema.get("minimum", _SAMPLES[name])
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    return _SAMPLES.get(name)
