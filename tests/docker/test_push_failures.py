"""A registry that goes while images are sent to it: who sends them, the error is the registry's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from build.errors import RegistryError
from build.git import history as git_history
from build.images import bases, build, push
from build.images.plan import plan_build
from tests.support.project import Project

REASON = b'{"errors":[{"code":"NAME_UNKNOWN"}]}'
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(REASON)
QUESTIONS = (b"HEAD", b"GET")  # how a registry is asked whether it has an image


@contextmanager
def going(address: str) -> Iterator[None]:
    """A registry that has no image, and is gone as soon as it was asked for one."""
    host, _, port = address.partition(":")
    with socket.create_server((host, int(port))) as listener:

        def answer() -> None:
            for method in QUESTIONS:
                connection, _ = listener.accept()
                if method == QUESTIONS[-1]:
                    listener.close()
                with connection:
                    assert connection.recv(65536).startswith(method)
                    connection.sendall(NOT_FOUND + (b"" if method == b"HEAD" else REASON))

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


def refused(send: Callable[[], object]) -> RegistryError:
    """The error of a push to an embedded registry that is not up."""
    with pytest.raises(RegistryError) as failure:
        send()
    return failure.value


def test_a_registry_that_is_gone_during_a_push_is_named_with_what_starts_it(built: Project) -> None:
    """The error of a bake that pushes, and of an image that is pushed alone, has the command that starts it."""
    manifest = built.load()
    history = git_history.read(manifest)
    versions = build.snapshots(manifest, history)
    plan = plan_build(manifest, history, versions, bases.recorded(manifest, ["python"]), ["one"])
    image = build.bake_services(manifest, plan, ["one"]).images["one"]

    baked = refused(lambda: build.bake_services(manifest, plan, ["one"], push=True))
    with going(manifest.registry.address):
        pushed = refused(lambda: push.push(manifest, image))

    for error in (baked, pushed):
        assert "does not answer" in str(error)
        assert error.hint == "./inv registry.up"
