"""Tools and a prompt that need several rounds: the client brings what they ask for, and the state that they gave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError

Result = types.CallToolResult | types.InputRequiredResult


def form(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    """Asks the user for one field."""
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def question(text: str, tokens: int) -> types.CreateMessageRequest:
    """Asks the client's model."""
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=tokens))


def needed(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    """Comes back when the client has these."""
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def done(text: str) -> types.CallToolResult:
    """The end."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def given(ctx: Context, name: str) -> Any:
    """What the client brought under a name."""
    return (ctx.input_responses or {}).get(name)


def field(answer: object, name: str) -> str:
    """One field of an answered form."""
    return str((getattr(answer, "content", None) or {}).get(name, ""))


async def test_input_required_result_elicitation(ctx: Context) -> Result:
    """One form."""
    answer = given(ctx, "user_name")
    return done(f"Hello, {field(answer, 'name')}!") if answer else needed(user_name=form("What is your name?", "name"))


async def test_input_required_result_sampling(ctx: Context) -> Result:
    """One question to the model."""
    answer = given(ctx, "capital_question")
    asked = question("What is the capital of France?", 100)
    return done(getattr(answer.content, "text", "")) if answer else needed(capital_question=asked)


async def test_input_required_result_list_roots(ctx: Context) -> Result:
    """The client's roots."""
    answer = given(ctx, "client_roots")
    if not answer:
        return needed(client_roots=types.ListRootsRequest())
    return done(", ".join(str(root.uri) for root in answer.roots))


async def test_input_required_result_request_state(ctx: Context) -> Result:
    """A state that comes back."""
    if ctx.request_state == "confirming" and given(ctx, "confirm"):
        return done("state-ok")
    return needed("confirming", confirm=form("Please confirm", "ok", "boolean"))


async def test_input_required_result_tampered_state(ctx: Context) -> Result:
    """A state that must not be changed on the way."""
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_multiple_inputs(ctx: Context) -> Result:
    """A form, a question and the roots at once."""
    names = ("user_name", "greeting", "client_roots")
    if ctx.request_state == "all" and all(given(ctx, name) for name in names):
        return done("all three")
    return needed(
        "all",
        user_name=form("What is your name?", "name"),
        greeting=question("Generate a greeting", 50),
        client_roots=types.ListRootsRequest(),
    )


async def test_input_required_result_multi_round(ctx: Context) -> Result:
    """Two forms, one after the other."""
    if ctx.request_state == "second" and (answer := given(ctx, "step2")):
        return done(f"Your color is {field(answer, 'color')}")
    if ctx.request_state == "first" and given(ctx, "step1"):
        return needed("second", step2=form("Step 2: What is your favorite color?", "color"))
    return needed("first", step1=form("Step 1: What is your name?", "name"))


async def test_input_required_result_capabilities(ctx: Context) -> Result:
    """Asks only for what the client can bring."""
    can = ctx.session.client_capabilities
    requests: dict[str, Any] = {}
    if can and can.elicitation:
        requests["user_name"] = form("What is your name?", "name")
    if can and can.sampling:
        requests["greeting"] = question("Generate a greeting", 50)
    return needed(**requests) if requests and not ctx.input_responses else done("done")


async def test_missing_capability(ctx: Context) -> Result:
    """Refuses a client that can't sample."""
    can = ctx.session.client_capabilities
    if can and can.sampling:
        return done("done")
    needs = types.ClientCapabilities(sampling=types.SamplingCapability())
    data = types.MissingRequiredClientCapabilityErrorData(required_capabilities=needs)
    raise MCPError(
        code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        message="this tool needs the client's model",
        data=data.model_dump(by_alias=True, mode="json", exclude_none=True),
    )


async def test_trigger_tool_change(ctx: Context) -> Result:
    """Tells those who listen."""
    await ctx.notify_tools_changed()
    return done("told")


async def test_trigger_prompt_change(ctx: Context) -> Result:
    """Tells those who listen."""
    await ctx.notify_prompts_changed()
    return done("told")


TOOLS: tuple[Callable[..., Any], ...] = (
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
    test_missing_capability,
    test_trigger_tool_change,
    test_trigger_prompt_change,
)


def tools() -> list[Tool]:
    """Each as a tool."""
    return [Tool.from_function(function) for function in TOOLS]


def add_prompt(server: MCPServer[None]) -> None:
    """A prompt that asks first."""

    @server.prompt()
    async def test_input_required_result_prompt(ctx: Context) -> str | types.InputRequiredResult:
        """Asks for its context."""
        answer = given(ctx, "user_context")
        if not answer:
            return needed(user_context=form("What context should the prompt use?", "context"))
        return f"Use this context: {field(answer, 'context')}"
