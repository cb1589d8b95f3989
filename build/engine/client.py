"""The Docker client and what it must be able to do. Everything that speaks Docker goes through here."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from build.config.manifest import Tools
from build.errors import MissingTool, ToolFailed
from build.process import Outcome, redact, run

if TYPE_CHECKING:
    from python_on_whales import DockerClient

PROVISION_HINT = "./inv engine --yes   (Debian and Ubuntu; elsewhere `./inv doctor` says what to install)"


@functools.cache
def docker() -> str:
    """The path of the first `docker` on PATH that finds its buildx plugin, else of the first one.

    A client without plugins may come first on PATH. Raises MissingTool when there is no docker at all.
    """
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = list(
        {os.path.realpath(path): path for folder in folders if (path := shutil.which("docker", path=folder))}.values()
    )
    if not found:
        raise MissingTool("docker is not installed or not on PATH", hint=PROVISION_HINT)
    if len(found) == 1:
        return found[0]
    return next((path for path in found if _finds_buildx(path)), found[0])


def _finds_buildx(path: str) -> bool:
    try:
        run([path, "buildx", "version"], timeout=30)
    except ToolFailed:
        return False
    return True


def cli(*arguments: str, **options: object) -> Outcome:
    """Run `docker ARGUMENTS` (options as in process.run) and tell a daemon that does not answer from a failure.

    Raises MissingTool when the daemon can't be reached, ToolFailed otherwise.
    """
    try:
        return run([docker(), *arguments], **options)  # type: ignore[arg-type]
    except ToolFailed as error:
        raise _classified(error) from None


def _classified(error: ToolFailed) -> MissingTool | ToolFailed:
    text = error.output.lower()
    if "permission denied" in text and "docker.sock" in text:
        return MissingTool(
            "the Docker socket refuses this user", hint="sudo usermod -aG docker $USER, then log in again"
        )
    if "cannot connect to the docker daemon" in text or "is the docker daemon running" in text:
        return MissingTool("the Docker daemon is not running", hint=PROVISION_HINT)
    return error


def client() -> DockerClient:
    """A python-on-whales client on the same docker binary, for acts with many options; call it inside `failures`."""
    from python_on_whales import DockerClient

    return DockerClient(client_call=[docker()])


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Turn an exception of the client into the errors that `cli` raises.

    Only the base exception is caught: its subclasses are chosen by the wording of English messages.
    """
    from python_on_whales import DockerException

    try:
        yield
    except DockerException as error:
        command = redact(shlex.join(map(str, error.docker_command)))
        output = redact("\n".join(part for part in (error.stdout, error.stderr) if part))
        message = f"exit code {error.return_code}: {command}"
        raise _classified(ToolFailed(message, output=output, returncode=error.return_code)) from None


def versions() -> dict[str, str]:
    """The versions of engine, buildx and Compose as {"engine": "26.1.5", …}; "" for a plugin that is not there.

    Raises MissingTool when there is no client or the daemon does not answer.
    """
    engine = cli("version", "--format", "{{.Server.Version}}", timeout=60).stdout.strip()
    found = {"engine": _number(engine)}
    for plugin, arguments in (("buildx", ("buildx", "version")), ("compose", ("compose", "version", "--short"))):
        try:
            found[plugin] = _number(cli(*arguments, timeout=60).stdout)
        except ToolFailed:
            found[plugin] = ""
    return found


def _number(text: str) -> str:
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return match.group(0) if match else ""


def older(found: str, wanted: str) -> bool:
    """Whether the dotted version `found` is older than `wanted`; an empty one is."""
    return _parts(found) < _parts(wanted)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def require(tools: Tools) -> dict[str, str]:
    """The versions found, when engine, buildx and Compose are all there and new enough.

    Raises MissingTool naming the first that is not.
    """
    found = versions()
    for name in ("engine", "buildx", "compose"):
        wanted = getattr(tools, name)
        if not found[name]:
            raise MissingTool(f"docker {name} is missing: the plugin is not installed", hint=PROVISION_HINT)
        if older(found[name], wanted):
            message = f"{name} {found[name]} is too old: {wanted} or newer is needed"
            raise MissingTool(message, hint=PROVISION_HINT)
    return found
