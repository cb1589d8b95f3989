"""The docker binary, the two ways to call it, and the versions it must have; see the package for which way to use."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from build import console, variables
from build.config.manifest import Tools
from build.errors import MissingTool, ToolFailed
from build.process import Outcome, redact, run

if TYPE_CHECKING:
    from python_on_whales import DockerClient

# The builder of the engine in use, which puts images into it; `docker buildx use` may have chosen another for the user.
BUILDER = "default"
_LISTINGS = 10
_REMOVED_MEANWHILE = re.compile(r"content digest sha256:\w+: not found")  # Engine 26.1.5
_ELF = b"\x7fELF"
_IDENTITY = "{{.ID}}\t{{.ServerVersion}}\t{{json .ClientInfo.Plugins}}"
PROVISION_HINT = "./inv engine --yes   (Debian and Ubuntu; elsewhere `./inv doctor` says what to install)"


@functools.cache
def docker() -> str:
    """The path of the first `docker` on PATH that has buildx, else of the first one.

    A binary without plugins may come first on PATH. Raises MissingTool when there is none at all.
    """
    folders = os.environ.get("PATH", "").split(os.pathsep)
    candidates = [path for folder in folders if (path := shutil.which("docker", path=folder))]
    binaries = list({os.path.realpath(path): path for path in candidates}.values())
    if not binaries:
        raise MissingTool("docker is not installed or not on PATH", hint=PROVISION_HINT)
    if len(binaries) == 1:
        return binaries[0]
    return next((path for path in binaries if _has_buildx(path)), binaries[0])


def _has_buildx(path: str) -> bool:
    """Whether this binary has buildx; only where its files don't tell, it is asked, which takes a tenth of a second."""
    if _is_native(path) and any(os.access(folder / "docker-buildx", os.X_OK) for folder in _plugin_folders()):
        return True
    try:
        run([path, "buildx", "version"], timeout=30)
    except ToolFailed:
        return False
    return True


def _is_native(path: str) -> bool:
    """Whether it is a program for Linux; Podman's `docker`, and what wraps another one, are scripts."""
    with Path(path).open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _plugin_folders() -> Iterator[Path]:
    """Where the docker CLI looks for plugins on Linux (docker/cli, cli-plugins/manager/manager_unix.go)."""
    yield Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins"
    for folder in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"):
        yield Path(folder, "docker", "cli-plugins")


def cli(*arguments: str, capture: bool = True, timeout: float | None = None) -> Outcome:
    """Run `docker ARGUMENTS`; `capture` and `timeout` are those of process.run.

    Raises MissingTool when the daemon can't be reached, ToolFailed for any other failure.
    """
    try:
        return run([docker(), *arguments], capture=capture, timeout=timeout)
    except ToolFailed as error:
        raise classified(error) from None


def listed_images(form: str) -> list[str]:
    """Return a line in this `docker image ls` format for each image of the engine, those without a tag included.

    The engine fails to list an image that is removed at that moment: it is asked again. Raises as `cli` does.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            return cli("image", "ls", "--digests", "--format", form).stdout.splitlines()
        except ToolFailed as error:
            if attempts == _LISTINGS or not _REMOVED_MEANWHILE.search(error.output):
                raise


def classified(error: ToolFailed) -> MissingTool | ToolFailed:
    """The failure of a call of Docker by its kind: an engine that can't be reached is a MissingTool."""
    text = error.output.lower()
    if "permission denied" in text and "docker.sock" in text:
        return MissingTool(
            "the Docker socket refuses this user", hint="sudo usermod -aG docker $USER, then log in again"
        )
    if "cannot connect to the docker daemon" in text or "is the docker daemon running" in text:
        return MissingTool("the Docker daemon is not running", hint=PROVISION_HINT)
    return error


def client() -> DockerClient:
    """A python-on-whales client that runs the same docker binary; call it inside `failures`."""
    from python_on_whales import DockerClient

    logger = logging.getLogger("python_on_whales.utils")
    if not any(isinstance(handler, _Echo) for handler in logger.handlers):
        logger.addHandler(_Echo())
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    return DockerClient(client_call=[*_neutralised(), docker()])


def _neutralised() -> list[str]:
    """The words before a program that python-on-whales starts, which gets all of this process's environment."""
    names = variables.sorted_by_decision(os.environ)["neutralised"]
    if os.name == "nt":  # has no env(1)
        for name in names:
            del os.environ[name]
        return []
    return ["env", *(word for name in names for word in ("-u", name))] if names else []


class _Echo(logging.Handler):
    """Shows the commands that python-on-whales runs as process.run shows its own."""

    def emit(self, record: logging.LogRecord) -> None:
        console.command([redact(str(argument)) for argument in record.args or ()])


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Convert an exception of python-on-whales to the error that `cli` would raise.

    Only its base class is caught: python-on-whales picks the subclass by the wording of Docker's message.
    """
    from python_on_whales import DockerException

    try:
        yield
    except DockerException as error:
        command = redact(shlex.join(map(str, error.docker_command)))
        output = redact("\n".join(part for part in (error.stdout, error.stderr) if part))
        message = f"exit code {error.return_code}: {command}"
        raise classified(ToolFailed(message, output=output, returncode=error.return_code)) from None


@functools.cache
def identity() -> dict[str, str]:
    """What a working engine says of itself and of the plugins, asked once: "id", "engine", "buildx", "compose".

    Raises MissingTool when there is no docker binary or the daemon does not answer.
    """
    engine_id, version, plugins = cli("info", "--format", _IDENTITY, timeout=60).stdout.strip("\n").split("\t")
    if not version:  # depending on its version, the client describes itself and exits with 0
        cli("version", "--format", "{{.Server.Version}}", timeout=60)
        raise MissingTool("the Docker daemon does not answer", hint=PROVISION_HINT)
    found = {plugin["Name"]: dotted(plugin.get("Version", "")) for plugin in json.loads(plugins) or ()}
    return {"id": engine_id, "engine": dotted(version), **{name: found.get(name, "") for name in ("buildx", "compose")}}


def versions() -> dict[str, str]:
    """The versions of engine, buildx and Compose as {"engine": "26.1.5", …}; "" for a plugin that is not installed.

    Raises as `identity` does.
    """
    return {name: identity()[name] for name in ("engine", "buildx", "compose")}


def forget() -> None:
    """Look for the binary and ask the engine again: both were changed."""
    docker.cache_clear()
    identity.cache_clear()


def dotted(text: str) -> str:
    """The first dotted version in a text, such as "26.1.5" in "26.1.5+dfsg1"; "" without one."""
    match = re.search(r"\d+(\.\d+)+", text)
    return match.group(0) if match else ""


def older(version: str, least: str) -> bool:
    """Whether the dotted `version` is older than `least`; an empty version is."""
    return _parts(version) < _parts(least)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def require(tools: Tools) -> dict[str, str]:
    """The installed versions of engine, buildx and Compose, each new enough.

    Raises MissingTool naming the first that is missing or too old.
    """
    installed = versions()
    for name in ("engine", "buildx", "compose"):
        least = getattr(tools, name)
        if not installed[name]:
            raise MissingTool(f"docker {name} is missing: the plugin is not installed", hint=PROVISION_HINT)
        if older(installed[name], least):
            message = f"{name} {installed[name]} is too old: {least} or newer is needed"
            raise MissingTool(message, hint=PROVISION_HINT)
    return installed
