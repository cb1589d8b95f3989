"""Where the vulnerability database comes from, by rule alone: whom to ask, for how long, and by which reference."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from build.config.manifest import Gates, Manifest
from build.gates.scan import source
from build.gates.scan.source import Answer
from tests.support.project import Project

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def silent() -> Iterator[tuple[str, str]]:
    """Two addresses that accept connections and never answer, as behind a firewall that drops packets."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        first, second = (f"127.0.0.1:{listener.getsockname()[1]}/db:2" for listener in sockets)
        yield first, second


def _of(project: Project, name: str) -> Manifest:
    return replace(project.load(), gates=Gates(db_repository=name))


@pytest.mark.parametrize(
    ("setting", "asked"), [("none", ()), ("", ()), ("default", source.PUBLIC), ("r.example/db", ("r.example/db",))]
)
def test_the_setting_says_whom_to_ask(setting: str, asked: tuple[str, ...]) -> None:
    """Trivy's public repositories, nobody, or the one that is named."""
    assert source.repositories(Gates(db_repository=setting)) == asked


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("r.example/db", f"r.example/db@{DIGEST}"),
        ("r.example/db:2", f"r.example/db@{DIGEST}"),
        ("r.example:5000/a/db:2", f"r.example:5000/a/db@{DIGEST}"),
        (f"r.example/db@{DIGEST}", f"r.example/db@{DIGEST}"),
    ],
)
def test_an_answer_is_fetched_by_its_digest(repository: str, reference: str) -> None:
    """The tag may move while Trivy downloads: it is given the digest."""
    assert Answer(repository=repository, digest=DIGEST).reference == reference
    assert Answer(repository=repository).reference == repository


def test_the_limit_holds_for_all_repositories_together(
    project: Project, silent: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two repositories that never answer take as long as one, and are not asked again in the same process."""
    monkeypatch.setattr(source, "PUBLIC", silent)
    monkeypatch.setattr(source, "_SECONDS", 1.0)
    manifest = _of(project, "default")
    times = []
    for _ in range(2):
        started = time.monotonic()
        answers = source.ask(manifest)
        times.append(time.monotonic() - started)
        assert [(answer.silent, answer.problem) for answer in answers] == [(True, "no answer within 1 s")] * 2

    assert 0.9 < times[0] < 1.8
    assert times[1] < 0.1


@pytest.mark.parametrize("name", ["127.0.0.1:1/db:2", "no such address/db", "127.0.0.1:99999/db"])
def test_what_refuses_at_once_is_no_silence(project: Project, name: str) -> None:
    """A closed port, or what is no address at all: the problem is named, and Trivy may report it better."""
    (answer,) = source.ask(_of(project, name))

    assert (answer.silent, answer.digest, bool(answer.problem)) == (False, "", True)
