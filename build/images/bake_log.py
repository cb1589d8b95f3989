"""Reads buildx's plain progress log (`--progress plain`): which step runs, and which target failed and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_STEP = re.compile(r"#(?P<id>\d+) \[(?P<name>[^\]]+)\] (?P<command>.*)")
# What is mounted and from where a file comes say less of a step than its command.
_FLAGS = re.compile(r"^(RUN|COPY|ADD)( --\S+)+ ")
_END = re.compile(r"#(?P<id>\d+) (?P<end>DONE (?P<seconds>[\d.]+)s|CACHED|CANCELED|ERROR: .*)$")
_FAILED_STEP = re.compile(r"^ > \[(?P<name>[^\]]+)\](?P<export> exporting to )?")
_OUTPUT = re.compile(r"#(?P<id>\d+) \d+\.\d+ (?P<text>.*)$")
_STEP_POSITION = re.compile(r"\d+/\d+")
_FAILED_TARGET = re.compile(r"ERROR: target (?P<name>\S+): ")
_REFUSED = re.compile(
    r"failed to (?:push|authorize)|push access denied|unauthorized|failed to do request.*(?:blobs|manifests)"
)
# A step's program that ended with another status than 0: `exit code: 1`, or a signal in words.
_PROCESS = re.compile(r"process \".*\" did not complete successfully: (?P<status>.+)$")
# What passes by itself: the client's session was lost or late, on a machine with much to do (moby/buildkit issues 2913,
# 3969), or a connection broke off.
_TRANSIENT = re.compile(
    r"no active sessions?\b|DeadlineExceeded|context deadline exceeded|transport is closing|connection reset by peer"
    r"|inconsistent graph state|code = Unavailable|unexpected EOF"
)
_EXCERPT = 40  # lines of a failed step's output
_TAIL = 8  # lines of the log's end, where no step failed
_TITLE = 110  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A step that ran to its end: its title, and the seconds that it took."""

    title: str
    seconds: float

    @property
    def internal(self) -> bool:
        """Whether it is a step of BuildKit's own, such as loading a Dockerfile."""
        return "internal]" in self.title.partition("] ")[0] + "]"


class Steps:
    """The steps that run at a point of the log, read line by line."""

    def __init__(self) -> None:
        self._running: dict[str, str] = {}

    @property
    def latest(self) -> str:
        """The title of the running step that started last; "" when none runs."""
        return next(reversed(self._running.values()), "")

    def read(self, line: str) -> Finished | None:
        """Take the next line of the log; the step that it says is done, if there is one."""
        if step := _STEP.match(line):
            command = _FLAGS.sub(r"\1 ", " ".join(step["command"].split()))
            self._running[step["id"]] = f"[{step['name']}] {command}"[:_TITLE]
        elif (end := _END.match(line)) and (title := self._running.pop(end["id"], "")) and end["seconds"]:
            return Finished(title=title, seconds=float(end["seconds"]))
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a bake failed.

    `target` is "" when the log does not say which one failed, as for a Dockerfile that can't be parsed. `output` is
    the failed step's own. `refused`: every step succeeded, and a registry refused the push or the login. `transient`:
    no step failed, and the same bake may succeed the next time.
    """

    target: str
    reason: str
    output: str = ""
    refused: bool = False
    transient: bool = False


def failure(lines: Sequence[str], targets: Sequence[str]) -> Failure:
    """Why the bake of `targets` that wrote this log failed.

    The reason of a failed step is the last that its program wrote, never its command line.
    """
    if failed := _failed_process(lines, targets):
        return failed
    last = next((line for line in reversed(lines) if line.startswith("ERROR: ")), "ERROR: no reason given")
    reason = last.removeprefix("ERROR: ")
    step = next((match for line in lines if (match := _FAILED_STEP.match(line))), None)
    if (not step or step["export"]) and any(_REFUSED.search(line) for line in lines):
        return Failure(target="", reason=reason, refused=True)
    target = _target(step["name"] if step else "", last, targets)
    transient = _TRANSIENT.search(reason) is not None
    if not target:
        return Failure(target="", reason=reason, transient=transient)
    reason = reason.removeprefix(f"target {target}: ").removeprefix("failed to solve: ")
    return Failure(target=target, reason=reason, output=_excerpt(lines), transient=transient)


def _failed_process(lines: Sequence[str], targets: Sequence[str]) -> Failure | None:
    """The failure of the first step whose program failed; what else the log says came of it. None if none did."""
    names: dict[str, str] = {}
    for line in lines:
        if step := _STEP.match(line):
            names[step["id"]] = step["name"]
        elif (end := _END.match(line)) and (process := _PROCESS.search(end["end"])):
            target = _target(names.get(end["id"], ""), "", targets)
            output = _excerpt(lines, end["id"])
            words = next((text for text in reversed(output.splitlines()) if text.strip()), "it wrote nothing").strip()
            return Failure(target=target, reason=f"{words} ({process['status'].replace(': ', ' ')})", output=output)
    return None


def _target(step: str, last: str, targets: Sequence[str]) -> str:
    if match := _FAILED_TARGET.match(last):
        return match["name"]
    # Bake puts the target before a step's own name when it builds more than one: `docs-server site 4/6`.
    words = [word for word in step.split() if not _STEP_POSITION.fullmatch(word)]
    if words and (words[0] in targets or words[0].startswith("stage-")):
        return words[0]
    return targets[0] if len(targets) == 1 else ""


def _excerpt(lines: Sequence[str], failed: str = "") -> str:
    """The end of the failed step's own output; without a failed step, the end of the log."""
    if failed:
        return "\n".join(_output(lines, failed)[-_EXCERPT:])
    failed = next(
        (match["id"] for line in lines if (match := _END.match(line)) and match["end"].startswith("ERROR")), ""
    )
    return "\n".join(_output(lines, failed)[-_EXCERPT:] or lines[-_TAIL:])


def _output(lines: Sequence[str], step: str) -> list[str]:
    return [match["text"] for line in lines if (match := _OUTPUT.match(line)) and match["id"] == step]
