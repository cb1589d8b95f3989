"""An OpenAPI 3 document in memory: its references and its operations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Node = Mapping[str, Any]


class DocumentError(Exception):
    """A text is not an OpenAPI 3 document, or a reference in it leads nowhere; the message says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One method of one path; the path's own parameters are among `parameters`."""

    method: str
    path: str
    group: str
    node: Node
    parameters: tuple[Node, ...]

    @property
    def title(self) -> str:
        """The method and the path, as in a request's first line."""
        return f"{self.method} {self.path}"

    @property
    def anchor(self) -> str:
        """The id of its section."""
        return f"operation-{slug(self.node.get('operationId') or self.title)}"


class Document:
    """A parsed document; `schemas` are its named schemas."""

    def __init__(self, text: str) -> None:
        """Parse JSON or YAML. Raises DocumentError for anything that is not an OpenAPI 3 document."""
        try:
            content = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise DocumentError(f"not JSON or YAML: {' '.join(str(error).split())}") from error
        version = content.get("openapi") if isinstance(content, dict) else None
        if not str(version).startswith("3."):
            raise DocumentError(f"openapi: expected 3.x, found {version!r}")
        self.content: Node = content
        self.info: Node = content.get("info", {})
        components = content.get("components", {})
        self.schemas: Mapping[str, Any] = components.get("schemas", {})
        self.security_schemes: Mapping[str, Node] = components.get("securitySchemes", {})

    def resolved(self, node: Node) -> Node:
        """The node that a reference stands for, after any number of references; any other node itself."""
        passed: list[str] = []
        while reference := node.get("$ref"):
            if reference in passed:
                raise DocumentError(f"$ref {reference}: refers to itself")
            passed.append(reference)
            node = self._target(reference)
        return node

    def _target(self, reference: str) -> Node:
        if not reference.startswith("#/"):
            raise DocumentError(f"$ref {reference}: not in this document; bundle it into one file")
        node: Any = self.content
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or name not in node:
                raise DocumentError(f"$ref {reference}: there is no such place in the document")
            node = node[name]
        if not isinstance(node, dict):
            raise DocumentError(f"$ref {reference}: not an object")
        return node

    def operations(self) -> list[Operation]:
        """Every operation, by the document's tags in their order; those without a tag come in one group, last."""
        declared = [tag["name"] for tag in self.content.get("tags", [])]
        operations = list(self._operations())
        order = list(dict.fromkeys([*declared, *(one.group for one in operations if one.group), ""]))
        return sorted(operations, key=lambda one: order.index(one.group))

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.content.get("paths", {}).items():
            shared = self.resolved(item)
            for method in METHODS:
                if node := shared.get(method):
                    yield Operation(
                        method=method.upper(),
                        path=path,
                        group=next(iter(node.get("tags", [])), ""),
                        node=node,
                        parameters=self._parameters(shared, node),
                    )

    def _parameters(self, *nodes: Node) -> tuple[Node, ...]:
        """The parameters of a path and its operation; the operation's replace those of the same place and name."""
        listed = [self.resolved(one) for node in nodes for one in node.get("parameters", [])]
        return tuple({(one["in"], one["name"]): one for one in listed}.values())


def slug(text: str) -> str:
    """An id for a heading: words with hyphens, in the case that they have."""
    return "-".join(re.findall(r"\w+", text))


def schema_anchor(name: str) -> str:
    """The id of a named schema's section."""
    return f"schema-{slug(name)}"
