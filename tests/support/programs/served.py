"""The programs of the stack as processes of this machine: `rig.py` starts them, each service's own load program asks.

A service's programs run in the venv that `nox -s services` has for its tests. Where that or a tool is missing, the
programs are left out, which is printed with what to do about it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build import console
from build.config.manifest import Manifest
from tests.support.programs.growth import processor_seconds
from tests.support.project import REPOSITORY

LOAD = Path(__file__).with_name("load.mjs")
_RIG = Path(__file__).with_name("rig.py")
_WITH_NODE = {"docs", "monitoring"}  # a server of Node, or no load program but load.mjs
_LINE = re.compile(r"(\d+) (\w+), .*?([\d.]+)/s, p50 ([\d.]+) ms, p95 ([\d.]+) ms.*?(?:incomplete|failed) (\d+)")


class NoFigureError(Exception):
    """A program that did not start, or a load program without a figure; the message is one line."""


@dataclass(frozen=True)
class Program:
    """One container's program: `service` is its folder in docker/."""

    name: str
    service: str

    @property
    def python(self) -> Path:
        """The Python of its service's tests."""
        return REPOSITORY / ".nox" / f"services-service-{self.service}" / "bin" / "python"

    @property
    def tests(self) -> Path:
        """The folder with the rig and, if it has one, the load program."""
        return REPOSITORY / "docker" / self.service / "tests"


@dataclass(frozen=True)
class Address:
    """A program that serves."""

    url: str
    pid: int
    page: str
    token_file: Path


@dataclass(frozen=True)
class Figures:
    """What a load program saw; `counted` is what it counts, `failures` are answers that its service never means to give.

    `cpu_ms` is the server's processor time for each answer, 0 where it can't be read.
    """

    counted: str
    number: int
    per_second: float
    p50_ms: float
    p95_ms: float
    failures: int
    encoding: str = ""
    bytes: int = 0
    cpu_ms: float = 0.0


def present(manifest: Manifest) -> dict[Program, Mapping[str, str]]:
    """The programs that can run here, each with what its rig needs in the environment; the others are printed."""
    found = {}
    for container, (service, _) in manifest.containers().items():
        program = Program(container, Path(manifest.services[service].folder).name)
        environment: Mapping[str, str] = {}
        reason = ""
        if not program.python.exists():
            command = f"./inv test --session \"services(service='{program.service}')\""
            reason = f"no {program.python.relative_to(REPOSITORY)}: {command} makes it"
        elif program.service in _WITH_NODE and not shutil.which("node"):
            reason = "no node on PATH"
        elif program.service == "powershell":
            environment, reason = _powershell(manifest)
        if reason:
            console.note(f"{container} is not measured: {reason}", kind="skip")
        else:
            found[program] = environment
    return found


def _powershell(manifest: Manifest) -> tuple[Mapping[str, str], str]:
    """As noxfile.py finds one for the tests: an engine, else the archive that stand-ins are made from."""
    if {"UC_PWSH", "UC_PWSH_ARCHIVE"} & os.environ.keys() or shutil.which("pwsh"):
        return {}, ""
    name = manifest.bases.images["powershell"].archive
    for folder in manifest.bases.archives:
        if name and (archive := REPOSITORY / folder / name).is_file():
            return {"UC_PWSH_ARCHIVE": str(archive.resolve())}, ""
    return {}, "no pwsh on PATH and no archive of it (bases.archives)"


def _rig(
    program: Program, environment: Mapping[str, str], folder: Path, *arguments: str, log: Any
) -> subprocess.Popen[str]:
    search = [REPOSITORY / "docker/python", program.tests.parent, program.tests]
    folder.mkdir(parents=True)
    return subprocess.Popen(
        [program.python, "-P", _RIG, program.name, folder, *arguments],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(map(str, search))},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip


@contextmanager
def serving(program: Program, environment: Mapping[str, str], folder: Path) -> Iterator[Address]:
    """The program, answering, in a folder that is not there yet; the end of the rig's stdin ends it.

    Raises NoFigureError when it does not start.
    """
    log = folder.with_suffix(".log")
    with log.open("w") as errors, _rig(program, environment, folder, "serve", log=errors) as rig:
        assert rig.stdout
        line = rig.stdout.readline()
        if not line:
            raise NoFigureError(f"{program.name} does not start: {_last(log.read_text())}")
        shown = json.loads(line)
        (token_file := folder / "token").write_text(shown["token"] + "\n")
        yield Address(shown["url"], shown["pid"], shown["page"], token_file)


def stops(program: Program, environment: Mapping[str, str], folder: Path, rounds: int) -> list[dict[str, float]]:
    """SIGTERM with open streams, round after round, as rig.py prints them. Raises NoFigureError when the rig fails."""
    log = folder.with_suffix(".log")
    with log.open("w") as errors, _rig(program, environment, folder, "stops", str(rounds), log=errors) as rig:
        output = rig.communicate()[0]
    if not output:
        raise NoFigureError(f"{program.name}: {_last(log.read_text())}")
    ended: list[dict[str, float]] = json.loads(output)
    return ended


def load_program(
    program: Program, at: Address, *, clients: int, seconds: float, pause_ms: int = 0, options: Sequence[str] = ()
) -> list[str]:
    """The command line of the load on a program: its service's own, else the clients of load.mjs, which can pause.

    `options` are those of the service's own load program.
    """
    python, token, amount = str(program.python), str(at.token_file), [str(clients), str(seconds)]
    amounts = ["--clients", str(clients), "--seconds", str(seconds), *options]
    match program.service:
        case "langgraph":
            return [python, str(program.tests / "load.py"), at.url, token, *amounts]
        case "powershell":
            host = at.url.rpartition("/")[2]
            return [python, str(program.tests / "bench" / "load.py"), host, token, "--json", *amounts]
        case "autogen" | "mcp":
            return [python, str(program.tests / "load.py"), at.url, token, *amount]
        case _:
            return ["node", str(LOAD), at.url, at.page, token, *amount, str(pause_ms)]


def figures(output: str, seconds: float) -> Figures:
    """Read what a load program printed: JSON, or a line for a person. Raises NoFigureError when it is neither."""
    if line := _LINE.search(output):
        number, counted, rate, p50, p95, failed = line.groups()
        return Figures(counted, int(number), float(rate), float(p50), float(p95), int(failed))
    try:
        printed = json.loads(output)
        prefix = "run_" if "runs_per_second" in printed else ""
        counted = "runs" if prefix else "requests"
        per_second = float(printed[f"{counted}_per_second"])
        return Figures(
            counted, round(per_second * seconds), per_second, printed[f"{prefix}p50_ms"], printed[f"{prefix}p95_ms"],
            printed.get("failures", _refused(printed["statuses"])), printed.get("encoding", ""), printed.get("bytes", 0),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise NoFigureError(f"no figure: {_last(output)}") from error


def under_load(program: Program, at: Address, *, clients: int, seconds: float, options: Sequence[str] = ()) -> Figures:
    """The figures of the load on a program, which runs now. Raises NoFigureError when it prints none."""
    argv = load_program(program, at, clients=clients, seconds=seconds, options=options)
    before = processor_seconds(at.pid)
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    used = processor_seconds(at.pid) - before
    seen = figures(ran.stdout or ran.stderr, seconds)
    return replace(seen, cpu_ms=1000 * used / seen.number if seen.number else 0.0)


def _refused(statuses: Mapping[str, int]) -> int:
    return sum(count for status, count in statuses.items() if status not in {"200", "503"})


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it printed nothing"])[-1]
