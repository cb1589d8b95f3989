"""Every task that a pipeline calls, run on a project with two services."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from tests.support import commands, pipelines
from tests.support.project import REPOSITORY, Project

FLAGS = {str(context.name): set(context.flags) for context in commands.CONTEXTS}


def test_every_task_of_a_pipeline_runs_dry(stack_project: Project, tmp_path: Path) -> None:
    """Each task succeeds with --dry-run; those without it, or that need a deploy target, succeed with --help."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    stack_project.git("remote", "add", "origin", str(remote))
    stack_project.git("push", "--quiet", "origin", "HEAD:main")
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("build", "--push").code == 0

    failed = {}
    for _, *words in [words for words in pipelines.commands() if words[0] == "./inv"]:
        flags = FLAGS.get(words[0], {"--dry-run"})
        ending = "--dry-run" if "--dry-run" in flags and "--target" not in flags else "--help"
        ran = stack_project.inv(*words, ending)
        if ran.code != 0:
            failed[shlex.join([*words, ending])] = ran.text

    assert failed == {}


def test_a_gitlab_job_releases_what_a_person_may_not(stack_project: Project, tmp_path: Path) -> None:
    """From a detached checkout the job's script gets a tag to the remote, with an authority that refuses a person."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    stack_project.append('\n[release]\nauthority = "ci"\nstand_ins = ["python"]\n')
    stack_project.git("remote", "add", "origin", str(remote))
    shutil.copytree(REPOSITORY / ".ci", stack_project.root / ".ci")
    commit = stack_project.commit("feat: Serve two")
    stack_project.git("push", "--quiet", "origin", "main")
    stack_project.git("checkout", "--quiet", "--detach")
    stack_project.git("branch", "--quiet", "--delete", "--force", "main")
    (release,) = [words[1:] for words in pipelines.commands() if words[:2] == ["./inv", "release"]]
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("secrets.init").code == 0

    refused = stack_project.inv(*release, CI="", GITHUB_ACTIONS="", GITLAB_CI="")
    _prepare(stack_project, commit)
    released = stack_project.inv(*release, CI="true", GITLAB_CI="true", CI_COMMIT_BRANCH="main")

    assert (refused.code, released.code) == (14, 0), refused.text + released.text
    tags = subprocess.run(["git", "tag", "--list"], cwd=remote, capture_output=True, text=True, check=True)
    assert tags.stdout.split() == ["v0.1.0"]


def _prepare(project: Project, commit: str) -> None:
    """Run the before_script of GitLab's release job as its runner would."""
    script = next(one for one in pipelines.scripts() if one.place.endswith(":release:before_script"))
    given = {
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_SHA": commit,
        "CI_REGISTRY": "registry.example.invalid",
        "CI_REGISTRY_IMAGE": "registry.example.invalid/ada/engine",
        "CI_REGISTRY_PASSWORD": "not asked for here",
        "GITLAB_USER_EMAIL": "ada@example.invalid",
        "GITLAB_USER_NAME": "Ada",
    }
    argv = ["bash", "-eo", "pipefail", "-c", script.text]
    subprocess.run(argv, cwd=project.root, env=os.environ | given, check=True)
