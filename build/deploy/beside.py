"""What works beside a volume: in_volume.py in a short-lived container of the image that writes to it."""

from __future__ import annotations

import tempfile
import time
import uuid
from dataclasses import dataclass
from importlib import resources
from typing import IO

from build.engine import hardening
from build.engine.remote import Engine
from build.errors import DeployRefused, ToolFailed

DATA = "/volume"
PIDS, MEGABYTES = 64, 512
_PROGRAM = resources.files("build.deploy") / "in_volume.py"
_NO_PYTHON = '"python3": executable file not found'
_TAKEN = "is already in use"
_USAGE = "Run 'docker"  # the last line of whatever docker refuses
_TRIES = 5
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A verb of in_volume.py with its arguments (`words`), beside a volume of a container, with its image.

    The archives of the project are in a volume of their own, `kept`. It is mounted at `folder`, where the image has
    the folder of its data: so it takes the owner of that. Both volumes are called as the engine calls them.
    """

    container: str
    image: str
    volume: str
    kept: str
    folder: str
    words: tuple[str, ...]

    def command(self, afterwards: str = "") -> list[str]:
        """What runs in the container; the Python in `afterwards` follows what has not failed."""
        source = _PROGRAM.read_text(encoding="utf-8") + afterwards
        return ["python3", "-S", "-I", "-c", source, DATA, self.folder, *self.words]


def kept_volume(project: str) -> str:
    """The volume that has the archives of a project."""
    return f"{project}-kept"


def new_name(project: str, *, shared: bool) -> str:
    """What works is called: each has a name of its own if `shared`, and else the one that all of a project have."""
    return f"{project}-data{f'-{uuid.uuid4().hex[:8]}' if shared else ''}"


def without_python(container: str, reason: str) -> DeployRefused | None:
    """The refusal for an image without Python, if that is the reason why it did not start."""
    if _NO_PYTHON not in reason:
        return None
    message = f"{container}: its image has no Python, by which the data of its volume would be copied"
    return DeployRefused(message, hint="--service NAME   another one")


def end(engine: Engine, name: str) -> None:
    """End what is at work under a name on an engine: a killed process may have left it."""
    engine.cli("rm", "--force", name, ok_codes=(0, 1))


def run(
    engine: Engine, name: str, work: Work, *, source: IO[bytes] | None = None, sink: IO[bytes] | None = None,
    shared: bool = False,
) -> str:  # fmt: skip
    """Run it in a container of an engine; return what it prints, unless that goes to `sink`.

    Unless `shared`, what is at work under the same name is ended first. Raises ToolFailed, DeployRefused for an image
    without Python.
    """
    argv = [
        "run", "--rm", "--name", name, "--quiet", "--pull", "missing", *(["--interactive"] if source else []),
        "--log-driver", "none", "--network", "none", "--read-only", "--user", hardening.USER,
        *(word for capability in hardening.DROPPED_CAPABILITIES for word in ("--cap-drop", capability)),
        *(word for option in hardening.SECURITY_OPTIONS for word in ("--security-opt", option)),
        "--pids-limit", str(PIDS), "--memory", f"{MEGABYTES}m", "--no-healthcheck",
        "--mount", f"type=volume,source={work.volume},target={DATA}",
        "--mount", f"type=volume,source={work.kept},target={work.folder}",
    ]  # fmt: skip
    program, *arguments = work.command()
    argv += ["--entrypoint", program, work.image, *arguments]
    with tempfile.TemporaryFile() as printed:
        for attempt in range(_TRIES):
            if not shared:
                end(engine, name)
            try:
                engine.piped(*argv, source=source, sink=sink or printed)
                break
            except ToolFailed as error:
                if _TAKEN not in error.output or attempt == _TRIES - 1:
                    raise _explained(engine, work.container, error) from None
                time.sleep(_PAUSE_SECONDS)
        printed.seek(0)
        return printed.read().decode()


def _explained(engine: Engine, container: str, error: ToolFailed) -> DeployRefused | ToolFailed:
    if refusal := without_python(container, error.output):
        return refusal
    lines = [line for line in error.output.splitlines() if line.strip() and not line.startswith(_USAGE)]
    why = lines[-1] if lines else f"exit code {error.returncode}"
    return error.with_message(f"the data of {container} on {engine}: {why}", hint=engine.shown("ps", "--all"))
