"""Runs `docker buildx bake`, shows its progress, keeps its log, and says which target failed and why."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build import console
from build.engine import client as docker
from build.errors import MissingTool, RegistryError
from build.process import starting, stop_group

_VERTEX = re.compile(r"#(?P<id>\d+) \[(?P<name>[^\]]+)\] (?P<what>.*)")
_END = re.compile(r"#(?P<id>\d+) (?P<end>DONE [\d.]+s|CACHED|CANCELED|ERROR: .*)$")
_FAILED_STEP = re.compile(r"^ > \[(?P<name>[^\]]+)\]")
_OUTPUT = re.compile(r"#(?P<id>\d+) \d+\.\d+ (?P<text>.*)$")
_EXCERPT = 40
_WORTH_A_LINE = 0.5  # seconds
_STEP_POSITION = re.compile(r"\d+/\d+")
_REFUSED = re.compile(
    r"failed to (?:push|authorize)|push access denied|unauthorized|failed to do request.*(?:blobs|manifests)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What ended a bake: the target that failed ("" when buildx does not say, as for a Dockerfile it can't parse)."""

    target: str
    reason: str


def run(
    definition: Path,
    targets: Sequence[str],
    *,
    metadata: Path,
    push: bool,
    no_cache: bool,
    progress: str,
    log: Path,
) -> Failure | None:
    """Bake `targets` in one invocation; None when all were built, else the first failure.

    progress: `auto` shows one line a step (a live line on a terminal), `plain` buildx's own log, `quiet` nothing.
    The whole log is always kept in `log`.
    Raises MissingTool when the daemon does not answer, RegistryError when a push is refused, ToolFailed when the client
    can't be executed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [
        docker.docker(), "buildx", "bake", "--file", str(definition), "--metadata-file", str(metadata),
        "--progress", "plain", *(["--push"] if push else []), *(["--no-cache"] if no_cache else []), *targets,
    ]  # fmt: skip
    console.command(argv)
    with starting(argv[0]):
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    with process:
        assert process.stderr is not None
        try:
            with log.open("w", encoding="utf-8") as kept:
                lines = _follow(process.stderr, kept, progress)
        except BaseException:
            stop_group(process)
            raise
    if process.returncode == 0:
        return None
    return _explain(lines, targets, log)


def _follow(stream: IO[str], kept: IO[str], progress: str) -> list[str]:
    shown = _Progress(progress)
    lines = []
    with shown:
        for line in stream:
            kept.write(line)
            lines.append(line.rstrip("\n"))
            shown.feed(lines[-1])
    return lines


class _Progress:
    """Turns buildx's plain log into what a person wants to see of it."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.running: dict[str, str] = {}
        self.live = None
        if mode == "auto" and console.is_terminal():
            from rich.console import Console

            self.live = Console(stderr=True).status("building")

    def __enter__(self) -> None:
        if self.live:
            self.live.start()

    def __exit__(self, *_error: object) -> None:
        if self.live:
            self.live.stop()

    def feed(self, line: str) -> None:
        if self.mode == "plain":
            console.passthrough(line)
            return
        if vertex := _VERTEX.match(line):
            self.running[vertex["id"]] = f"[{vertex['name']}] {vertex['what']}"[:110]
        elif (end := _END.match(line)) and (title := self.running.pop(end["id"], "")):
            self._finished(title, end["end"])
        if self.live and self.running:
            self.live.update("building  " + list(self.running.values())[-1].replace("[", r"\["))

    def _finished(self, title: str, end: str) -> None:
        internal = "internal]" in title.partition("] ")[0] + "]"
        if self.mode == "auto" and not internal and end.startswith("DONE ") and float(end[5:-1]) >= _WORTH_A_LINE:
            console.note(f"{title}  {end[5:]}")


def _explain(lines: Sequence[str], targets: Sequence[str], log: Path) -> Failure:
    text = "\n".join(lines)
    if "Cannot connect to the Docker daemon" in text or "docker daemon running" in text:
        raise MissingTool("the Docker daemon is not running", hint=docker.PROVISION_HINT)
    last = next((line for line in reversed(lines) if line.startswith("ERROR: ")), "ERROR: no reason given")
    step = next((match for line in lines if (match := _FAILED_STEP.match(line))), None)
    if step is None and _REFUSED.search(text):
        raise RegistryError(last.removeprefix("ERROR: "), hint="./inv doctor")
    target = _target_of(step["name"] if step else "", last, targets)
    if not target:
        return Failure(target="", reason=last.removeprefix("ERROR: "))
    excerpt = _excerpt(lines)
    reason = last.removeprefix("ERROR: ").removeprefix(f"target {target}: ").removeprefix("failed to solve: ")
    console.error(f"{target}: {reason}", output=excerpt, hint=f"less {log}")
    return Failure(target=target, reason=reason.splitlines()[0])


def _target_of(step: str, last: str, targets: Sequence[str]) -> str:
    if match := re.match(r"ERROR: target (?P<name>\S+): ", last):
        return match["name"]
    # bake puts the target before a step's own name when it builds more than one: `docs-server site 4/6`.
    words = [word for word in step.split() if not _STEP_POSITION.fullmatch(word)]
    if words and (words[0] in targets or words[0].startswith("stage-")):
        return words[0]
    return targets[0] if len(targets) == 1 else ""


def _excerpt(lines: Sequence[str]) -> str:
    """The failing step's own output, whole up to _EXCERPT lines; without a failing step, the end of the log."""
    failed = next(
        (match["id"] for line in lines if (match := _END.match(line)) and match["end"].startswith("ERROR")), ""
    )
    output = [match["text"] for line in lines if (match := _OUTPUT.match(line)) and match["id"] == failed]
    return "\n".join(output[-_EXCERPT:] or lines[-8:])
