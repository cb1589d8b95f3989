"""Runs `docker buildx bake`: shows its progress, keeps its log, returns the digests from its metadata file.

The docker CLI is used because python-on-whales' `bake()` returns the definition, not the digests.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from build import console, interrupts, json_file
from build.engine import client as engine
from build.errors import MissingTool, RegistryError
from build.images import bake_log
from build.images.bake_log import Failure
from build.parallel import follow_parent, stop_group
from build.process import environment, starting
from build.waiting import waiting

MODES = ("auto", "plain", "quiet")
_SHOWN_FROM = 0.5  # seconds that a step must take to get a line of its own


def run(
    definition: Path,
    targets: Sequence[str],
    *,
    metadata: Path,
    log: Path,
    push: bool = False,
    no_cache: bool = False,
    progress: str = "auto",
) -> dict[str, str] | Failure:
    """Bake `targets` of the bake file `definition` in one invocation: the digest of each, or the first failure.

    progress: `auto` shows one line a step (a live line on a terminal), `plain` buildx's own log, `quiet` nothing.
    The whole log is always written to `log`; `metadata` is a file of this process, removed at the end. A failure that
    passes by itself is named, and the bake tried once more.
    Raises MissingTool when the daemon does not answer, RegistryError when a push is refused, ToolFailed when the client
    can't be executed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    metadata.unlink(missing_ok=True)
    argv = [
        engine.docker(), "buildx", "bake", "--builder", engine.BUILDER, "--file", str(definition),
        "--metadata-file", str(metadata), "--progress", "plain",
        *(["--push"] if push else []), *(["--no-cache"] if no_cache else []), *targets,
    ]  # fmt: skip
    outcome = _attempt(argv, targets, metadata=metadata, log=log, progress=progress)
    if isinstance(outcome, Failure) and outcome.transient:
        console.warn(f"BuildKit failed in passing, it is tried once more: {outcome.reason}")
        outcome = _attempt(argv, targets, metadata=metadata, log=log, progress=progress)
    if isinstance(outcome, Failure) and outcome.target:
        console.error(f"{outcome.target}: {outcome.reason}", output=outcome.output, hint=f"less {log}")
    return outcome


def _attempt(
    argv: Sequence[str], targets: Sequence[str], *, metadata: Path, log: Path, progress: str
) -> dict[str, str] | Failure:
    console.command(argv)
    with interrupts.started(lambda: _start(argv), stop_group) as process, log.open("w", encoding="utf-8") as log_file:
        assert process.stderr is not None
        lines = _follow(process.stderr, log_file, progress)
    try:
        return _failure(lines, targets) if process.returncode else _digests(metadata, targets)
    finally:
        metadata.unlink(missing_ok=True)


def _start(argv: Sequence[str]) -> subprocess.Popen[str]:
    with starting(argv[0]):
        return subprocess.Popen(
            argv,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=follow_parent(),  # noqa: PLW1509  (nothing else runs in this process yet)
        )


def _digests(metadata: Path, targets: Sequence[str]) -> dict[str, str]:
    # docker/buildx docs/reference/buildx_bake.md, "--metadata-file": an object for each target.
    written = json_file.read(metadata)
    return {target: str(written[target]["containerimage.digest"]) for target in targets}


def _follow(stream: IO[str], log_file: IO[str], progress: str) -> list[str]:
    """The lines of a bake's log, written to a file and shown in one of the modes of `run` as they come."""
    steps = bake_log.Steps()
    lines = []
    shown = (
        waiting("building", lambda: steps.latest, look_seconds=0) if progress == "auto" else contextlib.nullcontext()
    )
    with shown:
        for line in stream:
            log_file.write(line)
            lines.append(line.rstrip("\n"))
            if progress == "plain":
                console.passthrough(lines[-1])
            finished = steps.read(lines[-1])
            if finished and progress == "auto" and not finished.internal and finished.seconds >= _SHOWN_FROM:
                console.timed(finished.title, finished.seconds)
    return lines


def _failure(lines: Sequence[str], targets: Sequence[str]) -> Failure:
    """The failure that the log explains. Raises as `run` does."""
    text = "\n".join(lines)
    if "Cannot connect to the Docker daemon" in text or "docker daemon running" in text:
        raise MissingTool("the Docker daemon is not running", hint=engine.PROVISION_HINT)
    failure = bake_log.failure(lines, targets)
    if failure.refused:
        raise RegistryError(failure.reason, hint="./inv doctor")
    return failure
