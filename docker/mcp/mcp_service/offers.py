"""What a server offers beside its tools: resources that a user attaches, and prompts that a user picks from a menu.

Both are made of the same functions as the tools. Here a tool's refusal becomes the error of the protocol.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import anyio.to_thread
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.server.mcpserver.prompts import Prompt
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

P = ParamSpec("P")


class NotThere(ToolError):
    """What the client names is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """Resources by a URI template (RFC 6570); its variables are the function's parameters."""

    uri: str
    title: str
    function: Callable[..., Awaitable[str]]
    mime_type: str = "text/markdown"


def template(uri: str, title: str, function: Callable[P, Any], *, mime_type: str = "text/markdown") -> Template:
    """A template; the function's docstring is its description."""
    return Template(uri=uri, title=title, function=_reading(function), mime_type=mime_type)


def prompt(title: str, function: Callable[P, Any]) -> Prompt:
    """A prompt of one user's message; the function's docstring is its description."""
    return Prompt.from_function(_prompting(function), title=title)


class CheckedPrompts:
    """Server middleware: a prompt that is not there, and arguments that it has not or lacks, get -32602 by name.

    The SDK would answer the first with an internal error, and pass over an argument of another name.
    """

    def __init__(self, prompts: tuple[Prompt, ...]) -> None:
        self._arguments = {
            one.name: {argument.name: argument.required for argument in one.arguments or ()} for one in prompts
        }

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "prompts/get" and ctx.params:
            self._check(ctx.params.get("name"), ctx.params.get("arguments") or {})
        return await call_next(ctx)

    def _check(self, name: object, given: object) -> None:
        if not isinstance(name, str) or not isinstance(given, dict):
            return  # the SDK refuses wrong types itself
        if name not in self._arguments:
            known = ", ".join(self._arguments) or "none"
            raise MCPError(code=INVALID_PARAMS, message=f"unknown prompt {name[:200]!r}; known: {known}")
        known_names = self._arguments[name]
        if unknown := [key for key in given if key not in known_names]:
            known = ", ".join(known_names)
            message = f"prompt {name}: unknown arguments: {', '.join(map(ascii, unknown))[:200]}; known: {known}"
            raise MCPError(code=INVALID_PARAMS, message=message)
        if missing := [key for key, required in known_names.items() if required and not given.get(key)]:
            raise MCPError(code=INVALID_PARAMS, message=f"prompt {name}: missing arguments: {', '.join(missing)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One resource of those that a list shows: what is there now, read by a template."""

    uri: str
    name: str
    title: str
    mime_type: str


class ListedResources:
    """Server middleware: put what is there now into resources/list, which the SDK keeps as it was at the start.

    A peer that is away has nothing to list; reading says why.
    """

    def __init__(self, listed: Callable[[], Awaitable[Sequence[Listed]]]) -> None:
        self._listed = listed

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "resources/list" and isinstance(result, dict):
            try:
                listed = await self._listed()
            except ToolError:
                listed = ()
            more = [{"uri": one.uri, "name": one.name, "title": one.title, "mimeType": one.mime_type} for one in listed]
            result = {**result, "resources": [*result.get("resources", ()), *more]}
        return result


def _reading(function: Callable[P, Any]) -> Callable[P, Awaitable[str]]:
    @functools.wraps(function)
    async def read(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return await _called(function, *args, **kwargs)
        except NotThere as error:
            raise ResourceNotFoundError(str(error)) from error
        except ToolError as error:
            raise ResourceError(str(error)) from error

    return read


def _prompting(function: Callable[P, Any]) -> Callable[P, Awaitable[str]]:
    @functools.wraps(function)
    async def write(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return await _called(function, *args, **kwargs)
        except ToolError as error:
            code = INVALID_PARAMS if isinstance(error, NotThere) else INTERNAL_ERROR
            raise MCPError(code=code, message=str(error)) from error

    return write


async def _called(function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> str:
    if inspect.iscoroutinefunction(function):
        return str(await function(*args, **kwargs))
    return str(await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs)))
