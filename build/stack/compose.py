"""The stack as Compose files: rendered from the model, committed under docker/, written for a start, run by Compose."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from build import console, json_file, process
from build.config.load import load
from build.config.manifest import Manifest
from build.engine import client as docker
from build.engine import ownership
from build.errors import ManifestError, SmokeFailed
from build.stack import model, secret_folder, yaml_file
from build.stack.model import Container, Healthcheck, LogRotation, Stack, Tmpfs

_ORIGIN = "Generated from versions.toml by `./inv compose`; do not edit. `nox -s lint` fails when it is stale."


def document(stack: Stack) -> dict[str, Any]:
    """The stack as the content of a Compose file, in which every value arrives as the model has it."""
    content: dict[str, Any] = literal(_document(stack))
    return content


def literal(value: Any) -> Any:
    """Return the value with each string such that Compose reads it as it is: it would expand $NAME, ${NAME} and $$."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: literal(part) for key, part in value.items()}
    return [literal(part) for part in value] if isinstance(value, list) else value


def _document(stack: Stack) -> dict[str, Any]:
    labels: dict[str, Any] = {"labels": dict(stack.labels)} if stack.labels else {}
    return {
        "name": stack.name,
        "services": {name: _service(container) | labels for name, container in stack.containers.items()},
        "networks": {
            key: {
                "name": network.name,
                "driver": "bridge",
                **({"internal": True} if network.internal else {}),
                **labels,
            }
            for key, network in stack.networks.items()
        },
        "volumes": {key: {"name": name, **labels} for key, name in stack.volumes.items()} | _external_volumes(stack),
        "secrets": {key: {"file": str(path)} for key, path in stack.secrets.items()},
    }


def _external_volumes(stack: Stack) -> dict[str, Any]:
    """The volumes that containers only read, which are not the stack's own."""
    mounts = [mount for container in stack.containers.values() for mount in container.mounts if mount.is_volume]
    return {str(mount.source): {"name": str(mount.source), "external": True} for mount in mounts}


def _service(container: Container) -> dict[str, Any]:
    volumes = [
        *({"type": "volume", "source": key, "target": target} for key, target in container.volumes.items()),
        *(
            {
                "type": "volume" if mount.is_volume else "bind",
                "source": str(mount.source),
                "target": mount.target,
                "read_only": True,
            }
            for mount in container.mounts
        ),
    ]
    optional = {
        "volumes": volumes,
        "secrets": list(container.secrets),
        "depends_on": {name: {"condition": "service_healthy"} for name in container.depends_on},
    }
    return {
        "image": container.image,
        "user": container.user,
        "read_only": container.read_only,
        "cap_drop": list(container.dropped_capabilities),
        "security_opt": list(container.security_options),
        "tmpfs": [_tmpfs(folder) for folder in container.tmpfs],
        "restart": container.restart,
        "stop_grace_period": duration(container.stop_grace_seconds),
        "healthcheck": _healthcheck(container.healthcheck),
        "environment": dict(container.environment),
        "networks": list(container.networks),
        "ports": [
            {"host_ip": port.address, "published": str(port.published), "target": port.target, "protocol": "tcp"}
            for port in container.ports
        ],
        **{key: value for key, value in optional.items() if value},
        "mem_limit": container.limits.memory,
        "cpus": container.limits.cpus,
        "pids_limit": container.limits.pids,
        "logging": _logging(container.logs),
    }


def _tmpfs(folder: Tmpfs) -> str:
    return f"{folder.target}:size={folder.size},mode={folder.mode:o}"


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    return {
        "interval": duration(check.interval),
        "timeout": duration(check.timeout),
        "retries": check.retries,
        "start_period": duration(check.start_period),
        "start_interval": duration(check.start_interval),
    }


def duration(seconds: float) -> str:
    """Return a span of time as Compose reads it, such as 10s or 500ms."""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def _logging(rotation: LogRotation) -> dict[str, Any]:
    return {"driver": "json-file", "options": {"max-size": rotation.size, "max-file": str(rotation.files)}}


def fluentd(stack: Stack) -> dict[str, Any]:
    """The overlay that sends every container's output to Fluentd; asynchronous: a missing Fluentd stops nothing."""
    options = {
        "fluentd-address": "${FLUENTD_ADDRESS:-127.0.0.1:24224}",
        "fluentd-async": "true",
        "fluentd-max-retries": "3",
        "tag": f"{stack.name}.{{{{.Name}}}}",
    }
    return {"services": {name: {"logging": {"driver": "fluentd", "options": options}} for name in stack.containers}}


def render(content: Mapping[str, Any], purpose: str, origin: str = _ORIGIN) -> str:
    """A Compose file as YAML, with a header that says what it is for and where it comes from."""
    return f"# {purpose}\n# {origin}\n{yaml_file.text(content)}"


def reference_files(manifest: Manifest) -> dict[str, str]:
    """The two committed files under docker/, by name: images as variables, paths relative to the project."""
    unnamed = dict.fromkeys(manifest.services, "")
    site = model.checkout(replace(manifest, root=Path("..")), Path("../.uc/secrets"))
    stack = model.stack(manifest, unnamed, site)
    content = document(stack)
    for name, (service, _) in manifest.containers().items():
        variable = service.upper().replace("-", "_") + "_IMAGE"
        content["services"][name]["image"] = "${" + variable + ":?run ./inv build first}"
    return {
        "docker/compose.yaml": render(content, "The stack. `./inv up` runs it with the built digests."),
        "docker/compose.fluentd.yaml": render(fluentd(stack), "Overlay: logs to Fluentd (`./inv up --fluentd`)."),
    }


def write_reference_files(root: Path, *, check: bool) -> None:
    """Write the committed Compose files of the project at `root`; with `check`, write nothing.

    Raises ManifestError with `check` when one is stale.
    """
    current = reference_files(load(root, {}, local=False))
    stale = [name for name, text in current.items() if _content(root / name) != text]
    if check and stale:
        raise ManifestError(f"not what versions.toml says: {', '.join(stale)}", hint="./inv compose")
    for name in stale:
        (root / name).write_text(current[name], encoding="utf-8", newline="\n")
    text = f"wrote {', '.join(stale)}" if stale else "docker/compose.yaml and its overlay are current"
    console.outcome(text, {"written": stale})


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(manifest: Manifest, images: Mapping[str, str], *, with_fluentd: bool = False) -> None:
    """Write the Compose files that start `images` (service → name@digest) to the workspace."""
    workspace = manifest.workspace
    site = model.checkout(manifest, secret_folder.locate(manifest))
    stack = model.stack(manifest, images, site, labels=ownership.labels(manifest))
    json_file.replace(workspace.compose, render(document(stack), "The stack as it runs."))
    if with_fluentd:
        json_file.replace(workspace.compose_fluentd, render(fluentd(stack), "Overlay: logs to Fluentd."))
    else:
        workspace.compose_fluentd.unlink(missing_ok=True)


def announce(
    manifest: Manifest, images: Mapping[str, str], versions: Mapping[str, str], *, staying: Collection[str] = ()
) -> None:
    """Write what runs, once `images` are started, for the containers that read it (`release_folder`).

    As JSON, see `model.announcement`. The services in `staying` run on as they were announced.
    """
    file = manifest.workspace.release / model.RELEASE_FILE
    before = json_file.read(file).get("services", {})
    services = {name: before[name] for name in staying if name in before}
    json_file.write(file, model.announcement(images, versions, services))
    # The containers' user is nobody on this machine, whose umask may close files to others.
    file.chmod(0o644)
    file.parent.chmod(0o755)


def run(manifest: Manifest, *arguments: str, capture: bool = True, timeout: float | None = None) -> str:
    """Run `docker compose ARGUMENTS` on the files that `write` wrote last; `capture`, `timeout` as in process.run.

    Returns what it wrote to stdout, if captured. Raises SmokeFailed when there are no files (Compose would take those
    of the caller's folder), MissingTool, ToolFailed.
    """
    return docker.cli(*_arguments(manifest, arguments), capture=capture, timeout=timeout).stdout


def lines(manifest: Manifest, *arguments: str) -> Iterator[str]:
    """Yield each line that `docker compose ARGUMENTS` prints, while it still runs. Raises as `run` does."""
    return process.lines([docker.docker(), *_arguments(manifest, arguments)], errors=False)


def _arguments(manifest: Manifest, arguments: Sequence[str]) -> list[str]:
    workspace = manifest.workspace
    if not workspace.compose.exists():
        raise SmokeFailed("the stack is not running", hint="./inv up")
    paths = [path for path in (workspace.compose, workspace.compose_fluentd) if path.exists()]
    files = [argument for path in paths for argument in ("--file", str(path))]
    named = ["--project-name", manifest.project.name, "--project-directory", str(workspace.compose.parent)]
    # No .env file: what one beside the Compose file says would go before the files themselves.
    return ["compose", *named, "--env-file", os.devnull, *files, "--progress", "plain", *arguments]
