"""Docker's own tools under a hostile environment and hostile files: what they read of ours is what they read without.

`docker compose config` and `docker buildx bake --print` show what would be done, and need no engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from build import json_file, variables
from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import MissingTool, ToolFailed
from build.images import bake_file
from build.stack import compose
from tests.support.machine import lacking
from tests.support.project import Project

# What a real shell or CI system has set; each changes what the bare tool does.
HOSTILE = {
    "COMPOSE_PROJECT_NAME": "evil", "COMPOSE_FILE": "/nowhere.yaml", "COMPOSE_PROFILES": "evil", "COMPOSE_ENV_FILES": "evil.env",
    "COMPOSE_REMOVE_ORPHANS": "1", "COMPOSE_PATH_SEPARATOR": "/", "COMPOSE_CONVERT_WINDOWS_PATHS": "1",
    "COMPOSE_DISABLE_ENV_FILE": "0", "COMPOSE_IGNORE_ORPHANS": "1", "COMPOSE_EXPERIMENTAL": "1", "COMPOSE_BAKE": "1",
    "COMPOSE_STATUS_STDOUT": "1", "COMPOSE_ANSI": "always", "COMPOSE_MENU": "1",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x", "DOCKER_BUILDKIT": "0", "DOCKER_CONTENT_TRUST": "1",
    "BUILDX_BUILDER": "evil", "BUILDX_BAKE_FILE": "/nowhere.hcl", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    "BUILDX_GIT_LABELS": "full", "BUILDX_GIT_CHECK_DIRTY": "1", "BUILDX_EXPERIMENTAL": "1", "BUILDKIT_PROGRESS": "rawjson",
    "BUILDKIT_HOST": "tcp://127.0.0.1:1", "SOURCE_DATE_EPOCH": "1", "LANGUAGE": "de", "PRICE": "from the shell",
}  # fmt: skip
WRITTEN = [
    "costs $5, ${HOME}", "$$", "$${HOME}", "$$$5", "${MISSING:?no}", "100% %{if true}x%{endif}", "%%{x}", "$(id)", "`id`",
    "\\${HOME}", "'\"#: {}[]", "", " x ", "a\nb", "null", "{{.Name}}", "%PATH%", "${", "$",
]  # fmt: skip


@pytest.fixture(autouse=True)
def tools() -> None:
    """Docker with Compose and buildx; no engine."""
    try:
        docker.cli("compose", "version")
        docker.cli("buildx", "version")
    except (MissingTool, ToolFailed) as error:
        lacking(str(error))


def _compose(project: Project, values: dict[str, str]) -> dict[str, Any]:
    """What Compose reads of the stack whose one container has these variables."""
    project.append(
        f"environment = {{ {', '.join(f'{name} = {json.dumps(text)}' for name, text in values.items())} }}\n"
    )
    manifest = project.load()
    compose.write(manifest, {"web": "web@sha256:" + "0" * 64})
    output = project.root / "config.json"
    compose.run(manifest, "config", "--format", "json", "--output", str(output))
    result: dict[str, Any] = json.loads(output.read_text())
    return result


def _bake(folder: Path, arguments: dict[str, str], *options: str) -> dict[str, Any]:
    """What bake reads of a target with these arguments, called as a build calls it."""
    definition = folder / "uc-bake.json"
    target: bake_file.Target = {
        "context": "/a/${b}", "contexts": {}, "secret": [], "args": arguments, "attest": ["type=provenance,mode=min"],
    }  # fmt: skip
    bake_file.write(definition, {"group": {"default": {"targets": ["web"]}}, "target": {"web": target}})
    command = ("buildx", "bake", "--builder", docker.BUILDER, "--file", str(definition), "--print", *options, "web")
    result: dict[str, Any] = json.loads(docker.cli(*command).stdout)["target"]["web"]
    return result


def _hostile(project: Project, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set every variable, and put the files that the bare tools would take into each folder that they look in."""
    for name, value in HOSTILE.items():
        assert name == "PRICE" or variables.is_neutralised(name), name
        monkeypatch.setenv(name, value)
    manifest.workspace.root.mkdir(exist_ok=True)
    override = {"target": {"web": {"args": {"A": "evil"}}}}
    services = {"services": {"web": {"privileged": True}, "evil": {"image": "evil"}}}
    for folder in (project.root, manifest.workspace.root):
        (folder / ".env").write_text("COMPOSE_PROJECT_NAME=evil\nCOMPOSE_PROFILES=evil\nFLUENTD_ADDRESS=evil\n")
        for name in ("docker-bake.json", "docker-bake.override.json"):
            json_file.write(folder / name, override)
        for name in ("compose.override.yaml", "docker-compose.override.yml"):
            (folder / name).write_text(json.dumps(services))
    docker_config = project.root / "docker-config"
    json_file.write(docker_config / "config.json", {"aliases": {"builder": "evil"}, "psFormat": "evil"})
    monkeypatch.chdir(project.root)


def test_e1_compose_reads_the_same_under_hostile_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another project name, other files, profiles, an .env: none reaches the stack."""
    before = _compose(project, {"A": "1"})
    manifest = project.load()
    _hostile(project, manifest, monkeypatch)
    output = project.root / "after.json"
    compose.run(manifest, "config", "--format", "json", "--output", str(output))

    assert json.loads(output.read_text()) == before
    assert before["name"] == manifest.project.name


def test_e1_bake_reads_the_same_under_hostile_settings(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another builder, an override file, a clock: none reaches a build."""
    before = _bake(tmp_path, {"A": "1"})
    _hostile(project, project.load(), monkeypatch)

    assert _bake(tmp_path, {"A": "1"}) == before


def test_e1_the_builder_that_a_user_chose_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker buildx use` says where a user's own builds go; the toolkit's go into the engine."""
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path))
    docker.cli("buildx", "create", "--name", "uc-elsewhere", "--driver", "remote", "tcp://127.0.0.1:1", "--use")

    assert "uc-elsewhere" in docker.cli("buildx", "inspect").stdout
    assert re.search(r"^Driver: +docker$", docker.cli("buildx", "inspect", docker.BUILDER).stdout, re.MULTILINE)


def _through_compose(project: Project, folder: Path) -> list[str]:
    del folder
    names = [f"V{number}" for number in range(len(WRITTEN))]
    read = _compose(project, dict(zip(names, WRITTEN, strict=True)))["services"]["web"]["environment"]
    # What `config` prints can be read again, so it doubles each $ itself.
    return [str(read[name]).replace("$$", "$") for name in names]


def _through_bake(project: Project, folder: Path) -> list[str]:
    del project
    names = [f"V{number}" for number in range(len(WRITTEN))]
    read = _bake(folder, dict(zip(names, WRITTEN, strict=True)))
    assert read["context"] == "/a/${b}"
    return [read["args"][name] for name in names]


@pytest.mark.parametrize("through", [_through_compose, _through_bake], ids=["environment", "args"])
def test_e5_values_arrive_as_they_are_written(
    project: Project, tmp_path: Path, through: Callable[[Project, Path], list[str]]
) -> None:
    """No $, brace or percent sign of a value is expanded, and none has to be doubled."""
    assert through(project, tmp_path) == WRITTEN


def test_e5_the_committed_file_too(project: Project) -> None:
    """docker/compose.yaml, which people run by hand, expands its images alone."""
    project.append('environment = { PRICE = "$5 ${HOME}" }\n')
    (project.root / "docker/compose.yaml").write_text(compose.reference_files(project.load())["docker/compose.yaml"])
    (project.root / "images.env").write_text("WEB_IMAGE=web@sha256:1\n")
    file = str(project.root / "docker/compose.yaml")
    printed = docker.cli(
        "compose", "--env-file", str(project.root / "images.env"), "--file", file, "config", "--format", "json"
    )
    web = json.loads(printed.stdout)["services"]["web"]

    assert (web["image"], web["environment"]["PRICE"]) == ("web@sha256:1", "$$5 $${HOME}")
