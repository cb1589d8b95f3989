"""What a user sees if the machine or the input is wrong: exit code by kind, what failed, and the command that fixes it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from build.config.load import load
from tests.support.machine import lacking, own_namespaces
from tests.support.project import REPOSITORY, Project
from tests.support.stack import DOCKERFILE, add_server

PLUGINS = "/usr/libexec/docker/cli-plugins"


def _tools_without(tmp_path: Path, *missing: str) -> str:
    """Return a PATH with git, sh and the machine's other tools, but without those in `missing`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "env", "uname", "apt-get", "perl"):
        program = shutil.which(name)
        if program and name not in missing:
            (folder / name).symlink_to(program)
    return str(folder)


def test_no_engine(stack_project: Project, tmp_path: Path) -> None:
    """Without a docker client: exit 7 and the command that installs one."""
    ran = stack_project.inv("build", PATH=_tools_without(tmp_path, "docker"))

    assert ran.code == 7, ran.text
    assert "docker is not installed" in ran.stderr
    assert "./inv engine --yes" in ran.stderr
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("task", ["build", "up", "smoke", "ps", "down", "registry.up"])
def test_daemon_not_running(stack_project: Project, task: str) -> None:
    """Every task that needs the daemon says that it is not running: exit 7, never a traceback."""
    ran = stack_project.inv(task, DOCKER_HOST="unix:///nowhere/docker.sock")

    assert ran.code in ({7, 13} if task == "up" else {7, 12} if task == "registry.up" else {7}), ran.text
    assert "Traceback" not in ran.text
    if ran.code == 7:
        assert "daemon is not running" in ran.stderr


def test_a_build_without_a_daemon_does_not_blame_the_bases(stack_project: Project) -> None:
    """Before the bases are resolved, a stopped daemon is reported as such too: exit 7, not nine reasons."""
    (stack_project.root / ".uc/bases.json").unlink()

    ran = stack_project.inv("build", DOCKER_HOST="unix:///nowhere/docker.sock")

    assert ran.code == 7, ran.text
    assert "daemon is not running" in ran.stderr


def test_engine_too_old(stack_project: Project) -> None:
    """An engine older than the manifest allows: exit 7, both versions named."""
    ran = stack_project.inv("engine", UC_TOOLS_ENGINE="99.0")

    assert ran.code == 7, ran.text
    assert "99.0" in ran.stderr
    assert "too old" in ran.stderr


@pytest.mark.parametrize("plugin", ["buildx", "compose"])
def test_a_plugin_is_missing(stack_project: Project, plugin: str) -> None:
    """Without buildx or Compose: exit 7, and the missing plugin is named (the folder is hidden in a mount namespace)."""
    if not Path(PLUGINS, f"docker-{plugin}").exists():
        lacking(f"needs {PLUGINS}/docker-{plugin}, where the distribution puts it")
    hide = (
        f"mkdir -p /tmp/uc-plugins-$$ && cp {PLUGINS}/* /tmp/uc-plugins-$$/ && rm /tmp/uc-plugins-$$/docker-{plugin}"
        f' && mount --bind /tmp/uc-plugins-$$ {PLUGINS}; exec "$@"'
    )
    argv = [*own_namespaces(), "sh", "-c", hide, "sh", *stack_project.command("engine")]
    environment = stack_project.environment() | {"CI": "", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        argv,
        cwd=stack_project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 7, done.stdout + done.stderr
    assert plugin in done.stderr


def test_not_a_repository(empty_project: Project, python_base: dict[str, Any]) -> None:
    """Outside git there is no commit to name an image after: exit 3 and `git init`."""
    empty_project.service("web", 18980)
    ran = empty_project.inv("build")

    assert ran.code == 3, ran.text
    assert "not a git repository" in ran.stderr
    assert "git init" in ran.stderr


def test_no_commit_yet(empty_project: Project, python_base: dict[str, Any]) -> None:
    """A repository without a commit: exit 3 and the command that makes one."""
    empty_project.service("web", 18980)
    empty_project.git("init", "--quiet")
    ran = empty_project.inv("build")

    assert ran.code == 3, ran.text
    assert "git commit" in ran.stderr


def test_a_malformed_manifest(project: Project) -> None:
    """Every task refuses a broken manifest with the same message: exit 2, file and position."""
    project.append("[oops\n")
    for task in ("build", "ps", "version", "smoke"):
        ran = project.inv(task)
        assert ran.code == 2, ran.text
        assert "versions.toml: not valid TOML" in ran.stderr


def test_a_base_that_no_source_has(stack_project: Project) -> None:
    """A base that is unreachable and has no stand-in is named with the reasons; the other services are built: exit 13."""
    text = (stack_project.root / "versions.toml").read_text()
    lost = '[bases.images.lost]\nreference = "nowhere.invalid/lost:1"\npackages = ["x"]\narchive = "lost.tar.xz"\n\n[build_secrets]'
    (stack_project.root / "versions.toml").write_text(text.replace("[build_secrets]", lost))
    add_server(
        stack_project, "three", DOCKERFILE.replace("FROM python", "FROM nowhere.invalid/lost:1"), bases='["lost"]'
    )
    stack_project.commit("Add a service on a base that is nowhere")

    ran = stack_project.inv("build")

    assert ran.code == 13, ran.text
    assert "three" in ran.stderr
    assert "nowhere.invalid/lost:1" in ran.stderr
    assert "lost.tar.xz is in no archive folder" in ran.stderr
    assert ran.stdout.count("sha256:") == 2


def test_an_archive_that_is_not_the_one_named(stack_project: Project) -> None:
    """An archive with another hash than the manifest's is refused with both hashes."""
    text = (stack_project.root / "versions.toml").read_text()
    lost = (
        '[bases.images.lost]\nreference = "nowhere.invalid/lost:1"\npackages = ["x"]\narchive = "lost.tar.xz"\n'
        f'archive_sha256 = "{"0" * 64}"\n\n[build_secrets]'
    )
    (stack_project.root / "versions.toml").write_text(text.replace("[build_secrets]", lost))
    stack_project.write("archives/lost.tar.xz", "not an archive")

    ran = stack_project.inv("bases", UC_BASE_ARCHIVES=str(stack_project.root / "archives"))

    assert ran.code == 9, ran.text
    assert "0" * 64 in ran.stdout
    assert "sha256" in ran.stdout


def _unity_claude(tmp_path: Path, **sources: Path) -> Project:
    """A checkout of this repository in a separate folder, with other sources."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".git", ".venv", ".nox", ".uc", "__pycache__", ".*_cache", "node_modules")
    shutil.copytree(REPOSITORY, root, ignore=ignored)
    project = Project(root)
    archives = json.dumps(load(REPOSITORY, os.environ).bases.archives)  # as for what bases.json records
    lines = "".join(f'{key} = "{path}"\n' for key, path in sources.items())
    project.write(
        "versions.local.toml",
        f'[project]\nname = "uct-{os.getpid()}"\n[registry]\nnamespace = "uct"\n[bases]\narchives = {archives}\n'
        f"[sources]\n{lines}",
    )
    project.commit("Start")
    state = REPOSITORY / ".uc" / "bases.json"
    if state.exists():
        project.write(".uc/bases.json", state.read_text())
    return project


@pytest.mark.timeout(900)
def test_docs_with_broken_links(tmp_path: Path, python_base: dict[str, Any]) -> None:
    """A broken link, a missing anchor and a page outside the navigation fail the docs image, each by name."""
    docs = tmp_path / "docs"
    shutil.copytree(REPOSITORY / "docs", docs)
    (docs / "pages" / "index.md").write_text("# Start\n\n[gone](nowhere.md) and [no anchor](index.md#not-there)\n")
    project = _unity_claude(tmp_path, docs=docs)

    ran = project.inv("build", "--service", "docs-server", timeout=600)

    assert ran.code == 13, ran.text
    assert "nowhere.md" in ran.stderr
    assert "not-there" in ran.stderr


@pytest.mark.timeout(900)
def test_a_modules_tree_with_broken_manifests(tmp_path: Path, powershell_base: None) -> None:
    """Modules that can't be imported are reported with their reason and stop nothing; a critical one fails the image."""
    modules = tmp_path / "Modules"
    shutil.copytree(REPOSITORY / "Modules", modules)
    (modules / "Broken").mkdir()
    (modules / "Broken" / "Broken.psd1").write_text("@{ RootModule = 'Nowhere.psm1'; ModuleVersion = '1.0' }\n")
    (modules / "Unparsable").mkdir()
    # Something new, so that no earlier build is reused: its output would not be shown again.
    (modules / "Unparsable" / "Unparsable.psm1").write_text(f"# {tmp_path} {time.time_ns()}\nfunction Get-It {{\n")
    project = _unity_claude(tmp_path, modules=modules)
    with (project.root / "versions.local.toml").open("a", encoding="utf-8") as file:
        file.write('[services.powershell-modules]\ncritical = ["Unity-Claude-File*", "Unity-Claude-FileTree"]\n')

    ran = project.inv("build", "--service", "powershell-modules", "--progress", "plain", timeout=600)

    assert ran.code == 0, ran.text
    assert "Broken" in ran.stderr
    assert "Unparsable" in ran.stderr

    shutil.rmtree(modules / "Unity-Claude-FileTree")
    project.commit("Lose a critical module")
    ran = project.inv("build", "--service", "powershell-modules", timeout=600)

    assert ran.code == 13, ran.text
    assert "Unity-Claude-FileTree" in ran.stderr


def test_a_port_of_the_stack_is_taken(stack_project: Project) -> None:
    """The doctor names the process on one of our ports, as `up` does."""
    port = stack_project.load().containers()["one"][1].published
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        ran = stack_project.inv("doctor")

    assert f"{port}" in ran.stdout
    assert str(os.getpid()) in ran.stdout


def test_u3_a_misspelt_task_is_no_traceback(project: Project) -> None:
    """The message has the task that was probably meant."""
    ran = project.inv("biuld")

    assert ran.code == 1
    assert "unknown task 'biuld' (did you mean 'build'?)" in ran.stderr
    assert "Traceback" not in ran.text
