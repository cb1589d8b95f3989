"""An engine that is not necessarily the one in use: named by a docker context, or as DOCKER_HOST names one."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from build import process
from build.engine import client
from build.errors import MissingTool, ToolFailed

LOOPBACK = "127.0.0.1"
_UNREACHABLE = (
    "cannot connect", "is the docker daemon running", "connection refused", "no such host", "i/o timeout",
    "error during connect", "no route to host", "connection reset", "broken pipe", "unable to resolve docker endpoint",
    "dial unix", "dial tcp", "context deadline exceeded",
)  # fmt: skip


def url(host: str, port: int) -> str:
    """The address of what is published there; that of IPv6 in brackets (RFC 3986, section 3.2.2)."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """An engine, by `context` or `host`; with neither, the one in use."""

    context: str = ""
    host: str = ""

    def __str__(self) -> str:
        """How a person names it."""
        return self.host or self.context or "the engine in use"

    @property
    def arguments(self) -> list[str]:
        """The words after `docker` that choose it; both go before DOCKER_HOST and DOCKER_CONTEXT."""
        named = {"--context": self.context, "--host": self.host}
        return [word for flag, value in named.items() if value for word in (flag, value)]

    def shown(self, *words: str) -> str:
        """The command `docker WORDS` against it, for people to type."""
        return " ".join(["docker", *self.arguments, *words])

    @property
    def machine(self) -> str:
        """The machine that it runs on, as a name or an IP address: that of this one where its socket is a file."""
        return urlsplit(self.endpoint).hostname or LOOPBACK

    @property
    def is_local(self) -> bool:
        """Whether its socket is a file of this machine, as far as can be told."""
        return self.machine == LOOPBACK

    @property
    def endpoint(self) -> str:
        """Its address: `host`, or what the context says, or DOCKER_HOST or the context in use.

        Raises ToolFailed for an unknown context.
        """
        if address := self.host or ("" if self.context else os.environ.get("DOCKER_HOST", "")):
            return address
        return _endpoint(self.context)

    def cli(
        self, *arguments: str, stdin: str | None = None, timeout: float | None = None, ok_codes: Sequence[int] = (0,)
    ) -> process.Outcome:
        """Run `docker ARGUMENTS` against it. Raises MissingTool when it can't be reached, ToolFailed otherwise."""
        argv = [client.docker(), *self.arguments, *arguments]
        try:
            return process.run(argv, stdin=stdin, timeout=timeout, ok_codes=ok_codes)
        except ToolFailed as error:
            raise self._classified(error) from None

    def raw(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run `docker ARGUMENTS` with bytes on stdin, and return those of its stdout. Raises as `cli` does."""
        try:
            return process.raw_output([client.docker(), *self.arguments, *arguments], stdin=stdin)
        except ToolFailed as error:
            raise self._classified(error) from None

    def piped(self, *arguments: str, source: IO[bytes] | None = None, sink: IO[bytes] | None = None) -> None:
        """Run `docker ARGUMENTS` with a file as its stdin and one as its stdout. Raises as `cli` does."""
        try:
            process.piped([client.docker(), *self.arguments, *arguments], source=source, sink=sink)
        except ToolFailed as error:
            raise self._classified(error) from None

    def json(self, *arguments: str) -> Any:
        """What `docker ARGUMENTS` prints, as JSON. Raises as `cli` does."""
        return json.loads(self.cli(*arguments).stdout)

    def _classified(self, error: ToolFailed) -> MissingTool | ToolFailed:
        text = error.output.lower()
        if any(words in text for words in _UNREACHABLE):
            last = error.output.strip().splitlines()[-1]
            message = f"the engine ({self}) does not answer: {last}"
            return MissingTool(message, hint=self.shown("info"))
        return client.classified(error)


@functools.cache
def _endpoint(context: str) -> str:
    """The address that a context has, or with "" the one in use."""
    form = ("--format", "{{.Endpoints.docker.Host}}")
    return process.run([client.docker(), "context", "inspect", *form, *filter(None, [context])]).stdout.strip()
