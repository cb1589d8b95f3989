"""Connections to engines that stay open from one request to the next.

`docker system dial-stdio` reaches an engine however the docker command does: socket, ssh, TLS, a context. To start it
takes a tenth of a second, over ssh whole seconds, and a request on an open connection takes milliseconds.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import io
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from subprocess import Popen, TimeoutExpired

from build import process
from build.errors import ToolFailed
from build.parallel import children, kill_group

# What chooses the engine where the command line does not.
_CHOSEN_BY = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
_SAFE_TO_REPEAT = {"GET", "HEAD", "DELETE", "PUT"}  # RFC 9110, 9.2.2
_END_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An HTTP request; `target` is its path with the query."""

    method: str
    target: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Unanswered(ToolFailed):
    """The program that leads to the engine has ended, or been ended, before the whole answer had come."""


def exchange(argv: Sequence[str], request: Request, *, seconds: float) -> tuple[int, bytes]:
    """Send a request over a connection by argv, and return the status and the content of the answer.

    Raises Unanswered, with what the program wrote to stderr; MissingTool and ToolFailed if it can't be started.
    """
    connection = _idle(argv)
    if connection is not None:
        with contextlib.suppress(_Closed):  # by the engine, since the last request
            return connection.exchange(request, seconds)
    return _Connection(argv).exchange(request, seconds)


class _Closed(Unanswered):
    """A connection that had served before was closed when a request came that may be repeated."""


class _Stream(io.RawIOBase):
    """What a program writes to a pipe; closing this leaves the pipe open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # it is given nothing else
        received = os.read(self._descriptor, len(buffer))
        buffer[: len(received)] = received
        return len(received)


@dataclass(frozen=True, slots=True)
class _Pipes:
    """A program's stdin and stdout as the socket that http.client speaks over."""

    program: Popen[bytes]

    def sendall(self, data: bytes) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(data)
        self.program.stdin.flush()

    def makefile(self, _mode: str) -> io.BufferedReader:
        assert self.program.stdout is not None
        return io.BufferedReader(_Stream(self.program.stdout.fileno()))

    def close(self) -> None:
        """Nothing: the connection ends its program itself."""


class _Connection:
    """A program that leads to an engine, and HTTP over it: one request at a time."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.key = _key(argv)
        with contextlib.ExitStack() as resources:
            self._errors = resources.enter_context(tempfile.TemporaryFile())
            self._program = resources.enter_context(process.conversation(argv, self._errors))
            self._resources = resources.pop_all()
        self._http = http.client.HTTPConnection("docker")
        self._http.sock = _Pipes(self._program)  # all that it asks a socket for
        self._has_served = False

    @property
    def open(self) -> bool:
        """Whether the program still runs."""
        return self._program.poll() is None

    def exchange(self, request: Request, seconds: float) -> tuple[int, bytes]:
        """Send a request and return the answer's status and content; then the connection waits for another one."""
        group = children()
        group.start(lambda: self._program, "docker")  # an interrupt of `together` ends it
        late = threading.Event()
        watch = threading.Timer(seconds, self._expire, [late])
        watch.daemon = True
        watch.start()
        try:
            status, content, stays = self._exchange(request)
        except (http.client.HTTPException, OSError) as error:
            raise self._unanswered(request, error, seconds if late.is_set() else 0) from None
        except BaseException:
            self.end()
            raise
        finally:
            watch.cancel()
            group.discard(self._program)
        self._has_served = True
        if stays:
            _give_back(self)
        else:
            self.end()
        return status, content

    def _exchange(self, request: Request) -> tuple[int, bytes, bool]:
        self._http.request(request.method, request.target, body=request.content, headers=dict(request.headers))
        answer = self._http.getresponse()
        return answer.status, answer.read(), not answer.will_close

    def _expire(self, late: threading.Event) -> None:
        late.set()
        kill_group(self._program)

    def _unanswered(self, request: Request, error: Exception, seconds: float) -> Unanswered:
        closed = self._has_served and isinstance(error, http.client.RemoteDisconnected | BrokenPipeError)
        with contextlib.suppress(TimeoutExpired):
            self._program.wait(_END_SECONDS)  # it is about to say why
        self._errors.seek(0)
        output = process.redact(self._errors.read().decode("utf-8", "replace"))
        self.end()
        what = f"{request.method} {request.target.partition('?')[0]}"
        if seconds:
            return Unanswered(f"{what}: timed out after {seconds:g} s", output=output)
        kind = _Closed if closed and request.method in _SAFE_TO_REPEAT else Unanswered
        return kind(f"{type(error).__name__} after {what}", output=output)

    def end(self) -> None:
        """End the program."""
        kill_group(self._program)
        with contextlib.suppress(OSError):  # what could not be written is of no use any more
            self._resources.close()


_LOCK = threading.Lock()
_WAITING: list[_Connection] = []


def _key(argv: Sequence[str]) -> tuple[str | None, ...]:
    return (*argv, *(os.environ.get(name) for name in _CHOSEN_BY))


def _idle(argv: Sequence[str]) -> _Connection | None:
    """Take an open connection by argv that serves nobody."""
    key = _key(argv)
    with _LOCK:
        for connection in [one for one in _WAITING if one.key == key]:
            _WAITING.remove(connection)
            if connection.open:
                return connection
            connection.end()
    return None


def _give_back(connection: _Connection) -> None:
    with _LOCK:
        _WAITING.append(connection)


@atexit.register
def close() -> None:
    """End all connections that serve nobody."""
    with _LOCK:
        while _WAITING:
            _WAITING.pop().end()
