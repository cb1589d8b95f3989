"""The tools, resources and prompts that the official suite asks a server for; nothing of this is in the image."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Annotated, Any

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp.server.mcpserver.tools import Tool
from pydantic import AnyUrl, Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA=="
IMAGE = types.ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, text: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    """A text resource inside a message."""
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


def test_simple_text() -> types.TextContent:
    """Text."""
    return types.TextContent(type="text", text="This is a simple text response for testing.")


def test_image_content() -> types.ImageContent:
    """An image."""
    return IMAGE


def test_audio_content() -> types.AudioContent:
    """A sound."""
    return types.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")


def test_embedded_resource() -> types.EmbeddedResource:
    """A resource."""
    return embedded("test://embedded-resource", "This is an embedded resource content.")


def test_multiple_content_types() -> list[types.ContentBlock]:
    """All of them."""
    text = types.TextContent(type="text", text="Multiple content types test:")
    data = json.dumps({"test": "data", "value": 123})
    return [text, IMAGE, embedded("test://mixed-content-resource", data, "application/json")]


async def test_tool_with_logging(ctx: Context) -> str:
    """Three messages on the way."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)
    return "done"


async def test_tool_with_progress(ctx: Context) -> str:
    """Three steps."""
    for step in (0, 50, 100):
        await ctx.report_progress(step, 100)
        await asyncio.sleep(0.05)
    return "done"


def test_error_handling() -> str:
    """Always fails."""
    raise ToolError("This tool intentionally returns an error for testing")


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Asks the client's model."""
    question = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    answer = await ctx.session.create_message([question], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(answer.content, 'text', '')}"


async def ask(ctx: Context, message: str, properties: dict[str, Any], required: list[str]) -> types.ElicitResult:
    """Asks the client's user."""
    schema = {"type": "object", "properties": properties, "required": required}
    answer: types.ElicitResult = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return answer


async def test_elicitation(message: str, ctx: Context) -> str:
    """Two texts."""
    fields = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    answer = await ask(ctx, message, fields, ["username", "email"])
    return f"User response: action={answer.action}, content={json.dumps(answer.content)}"


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Every primitive type with a default."""
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    answer = await ask(ctx, "Defaults", fields, [])
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Every way to choose."""
    plain = ["option1", "option2", "option3"]

    def titled(*names: str) -> list[dict[str, str]]:
        return [{"const": f"value{n}", "title": name} for n, name in enumerate(names, start=1)]

    legacy = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled("First Option", "Second Option", "Third Option")},
        "legacyEnum": {"type": "string", **legacy},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("First Choice", "Second Choice", "Third Choice")}},
    }
    answer = await ask(ctx, "Choices", fields, [])
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"


def test_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """An argument that is mirrored in a header."""
    return region


def json_schema_2020_12_tool() -> str:
    """Tool with JSON Schema 2020-12 features."""
    return "ok"


SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

TOOLS: tuple[Callable[..., Any], ...] = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_logging,
    test_tool_with_progress,
    test_error_handling,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_header,
)


def tools() -> list[Tool]:
    """Each as a tool; one has a schema that no Python signature gives."""
    odd = Tool.from_function(json_schema_2020_12_tool)
    odd.parameters = SCHEMA_2020_12
    return [*(Tool.from_function(function, structured_output=False) for function in TOOLS), odd]


def add_resources(server: MCPServer[None]) -> None:
    """Text, bytes, a template, and one to watch."""

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """Text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """Bytes."""
        return base64.b64decode(PIXEL)

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """Text that could change."""
        return "watched"

    @server.resource("test://template/{number}/data", mime_type="application/json")
    def template(number: str) -> str:
        """Names the parameter."""
        return json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})


def add_prompts(server: MCPServer[None]) -> None:
    """Plain, with arguments, with a resource, with an image."""

    @server.prompt()
    def test_simple_prompt() -> str:
        """Plain."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's name
        """A resource."""
        resource = embedded(str(AnyUrl(resourceUri)), "Embedded resource content for testing.")
        return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[Message]:
        """An image."""
        return [UserMessage(IMAGE), UserMessage("Please analyze the image above.")]

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the one method there without types
    async def complete(_ref: object, argument: types.CompletionArgument, _context: object) -> types.Completion:
        """What begins alike."""
        values = [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
        return types.Completion(values=values, total=len(values), has_more=False)
