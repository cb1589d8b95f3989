"""Answers like the OpenAI and the Anthropic API, plain and streaming; run as a process of its own.

It plays every agent: it knows them by their system prompts, calls the tool that is offered, and then answers in text.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STATE: dict[str, Any] = {
    "delay": 0.0, "stall_from": 0, "keys": [], "status": 200, "calls": [], "aborted": 0, "half": False,
}  # fmt: skip
STALL = 300.0
LOCK = threading.Lock()
Json = dict[str, Any]


def supervise(texts: list[str]) -> str:
    """Delegate to each worker that has not spoken, then approve."""
    for worker, mark in (("analyst", "analyst says"), ("operator", "operator says"), ("reviewer", "reviewer says")):
        if not any(mark in text for text in texts):
            return f"DELEGATE: {worker} - do your part"
    return "APPROVED: ship the model's fix"


def answer(system: str, texts: list[str], tools: list[str], has_result: bool) -> tuple[str, str | None]:
    """The text, or nothing and the tool to call."""
    if STATE["half"]:
        return "APPROVED: \ud800 done", None
    if "You are the supervisor" in system:
        return supervise(texts), None
    name = system.removeprefix("You are the ").partition(".")[0]
    if tools and not has_result:
        return "", tools[0]
    return f"{name} says: done", None


def arguments_of(tool: str) -> Json:
    """Arguments that the service's tools accept."""
    return {
        "read_event": {"text": "Assets/A.cs(1,2): error CS1002: ; expected"},
        "propose_action": {"facts": "{}"},
        "check_proposal": {"facts": "{}", "proposal": "1. fix it"},
    }[tool]


class Handler(BaseHTTPRequestHandler):
    """POST /v1/chat/completions and /v1/messages; GET and POST /state drive the provider itself."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The provider's state with every call so far."""
        with LOCK:
            self._json(200, STATE)

    def do_POST(self) -> None:
        """Answer a model call, or change the state."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/state":
            with LOCK:
                STATE.update(body)
            self._json(200, {})
            return
        key = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
        with LOCK:
            call = {"path": self.path, "key": key, "stream": bool(body.get("stream")), "model": body["model"]}
            call["tools"] = [str(tool.get("function", tool).get("name")) for tool in body.get("tools", [])]
            call["system"] = str([part["content"] for part in body["messages"] if part["role"] == "system"])
            STATE["calls"].append({**call, "request_id": self.headers.get("x-request-id")})
            stalls = 0 < STATE["stall_from"] <= len(STATE["calls"])
            delay, keys, status = STALL if stalls else STATE["delay"], STATE["keys"], STATE["status"]
        if self._client_left_within(delay):
            with LOCK:
                STATE["aborted"] += 1
            self.close_connection = True
            return
        if keys and key not in keys:
            self._json(401, {"error": {"type": "authentication_error", "message": f"bad key {key}"}})
        elif status != 200:
            self._json(status, {"error": {"type": "invalid_request_error", "message": "refused by the test"}})
        elif self.path == "/v1/messages":
            self._anthropic(body)
        else:
            self._openai(body)

    def _client_left_within(self, delay: float) -> bool:
        deadline = time.monotonic() + delay
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], left)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return True
        return False

    def _openai(self, body: Json) -> None:
        messages = body["messages"]
        system = next(message["content"] for message in messages if message["role"] == "system")
        texts = [str(message.get("content")) for message in messages if message["role"] == "user"]
        tools = [tool["function"]["name"] for tool in body.get("tools", [])]
        text, tool = answer(system, texts, tools, messages[-1]["role"] == "tool")
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        call = {"name": tool, "arguments": json.dumps(arguments_of(tool))} if tool else None
        calls = [{"id": f"call_{time.monotonic_ns()}", "type": "function", "function": call}]
        reason = "tool_calls" if tool else "stop"
        shared = {"id": "c1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message: Json = {"role": "assistant", "content": text or None}
            if tool:
                message["tool_calls"] = calls
            choice = {"index": 0, "finish_reason": reason, "message": message}
            self._json(200, {**shared, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        deltas: list[Json] = [{"content": word + " "} for word in text.split()]
        if tool:
            deltas = [{"tool_calls": [{"index": 0, **calls[0]}]}]
        chunks: list[Json] = [
            {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None} for delta in deltas
        ]
        chunks.append({"index": 0, "delta": {}, "finish_reason": reason})
        shared["object"] = "chat.completion.chunk"
        lines = [json.dumps({**shared, "choices": [chunk]}) for chunk in chunks]
        lines.append(json.dumps({**shared, "choices": [], "usage": usage}))
        self._stream([f"data: {line}\n\n" for line in [*lines, "[DONE]"]])

    def _anthropic(self, body: Json) -> None:
        messages = body["messages"]
        system = body["system"] if isinstance(body["system"], str) else body["system"][0]["text"]
        texts = [json.dumps(message["content"]) for message in messages if message["role"] == "user"]
        tools = [tool["name"] for tool in body.get("tools", [])]
        text, tool = answer(system, texts, tools, "tool_result" in json.dumps(messages[-1]["content"]))
        block: Json = {"type": "text", "text": text}
        if tool:
            block = {
                "type": "tool_use",
                "id": f"toolu_{time.monotonic_ns()}",
                "name": tool,
                "input": arguments_of(tool),
            }
        shared = {"id": "m1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
        reason = "tool_use" if tool else "end_turn"
        usage = {"input_tokens": 11, "output_tokens": 7}
        if not body.get("stream"):
            self._json(200, {**shared, "content": [block], "stop_reason": reason, "usage": usage})
            return
        empty = {**block, "input": {}} if tool else {**block, "half": False}
        deltas = [{"type": "text_delta", "text": word + " "} for word in text.split()]
        if tool:
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        parts: list[Json] = [
            {"type": "message_start", "message": {**shared, "content": [], "stop_reason": None, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        self._stream([f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts])

    def _json(self, status: int, value: Json) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, parts: list[str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for part in parts:
            self.wfile.write(part.encode())
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Quiet: the tests read `calls`."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
