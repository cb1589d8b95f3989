"""The pipelines that deploy: asked for by a person, approved by an environment, never cancelled; what reaches a target."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from build.config.load import load
from tests.support import pipelines
from tests.support.project import REPOSITORY, Project

GITLAB_JOBS = pipelines.gitlab_jobs()
DEPLOY, GITLAB_DEPLOY = pipelines.github_jobs()["deploy.yml:deploy"], GITLAB_JOBS["deploy"]
WORKFLOW = pipelines.read(pipelines.WORKFLOWS[0].with_name("deploy.yml"))
PROTECTED = '$CI_COMMIT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'
TARGET_LOGIN = REPOSITORY / ".ci/target-login"


def test_nothing_cancels_a_deploy() -> None:
    """Deploys to a target run one at a time, and nothing newer cancels one that may have opened the journal."""
    assert DEPLOY["concurrency"] == {"group": "deploy-${{ inputs.target }}", "cancel-in-progress": False}
    assert "concurrency" not in WORKFLOW
    assert (GITLAB_DEPLOY["interruptible"], GITLAB_DEPLOY["resource_group"]) == (False, "deploy-$TARGET")


def test_a_deploy_asks_for_approval_by_its_environment() -> None:
    """The environment is the target's, with its approvals and secrets; without a target there is no deploy."""
    assert DEPLOY["environment"] == "${{ inputs.target }}"
    assert GITLAB_DEPLOY["environment"] == {"name": "$TARGET"}
    assert DEPLOY["if"] == "${{ github.ref_protected && inputs.target != '' }}"
    assert GITLAB_DEPLOY["rules"] == [{"if": f'$TARGET != "" && {PROTECTED}', "when": "manual"}]


def test_only_a_person_starts_a_deploy() -> None:
    """No push deploys: a deploy is asked for, with the same inputs on both systems."""
    triggers = WORKFLOW[True]
    github = {name.upper(): entry for name, entry in triggers["workflow_dispatch"]["inputs"].items()}
    variables = pipelines.read(pipelines.GITLAB)["variables"]
    gitlab = {name: entry for name, entry in variables.items() if isinstance(entry, dict)}

    assert set(triggers) == {"workflow_dispatch"}
    assert set(github) == set(gitlab) - {"BUMP", "PRE"}
    assert github["TARGET"]["required"]
    assert {name: entry.get("default") or "" for name, entry in github.items()} == {
        name: gitlab[name]["value"] for name in github
    }
    assert github["ACTION"]["options"] == gitlab["ACTION"]["options"]


def test_a_pipeline_that_deploys_does_nothing_else() -> None:
    """Whoever asks GitLab for a deploy gets no tests, no images and no release."""
    others = {name: job["rules"] for name, job in GITLAB_JOBS.items() if name != "deploy"}
    request = '$CI_PIPELINE_SOURCE == "merge_request_event"'  # has no TARGET

    assert [
        name for name, rules in others.items() if any('$TARGET == ""' not in rule["if"] != request for rule in rules)
    ] == []


def test_a_deploy_takes_nothing_from_a_cache() -> None:
    """A job with the login of a target uses no cache that a pull request could have poisoned."""
    assert [step for step in DEPLOY["steps"] if "cache" in step.get("uses", "")] == []
    assert "cache" not in GITLAB_DEPLOY


def test_both_systems_deploy_by_the_same_script() -> None:
    """What decides between a deploy and a roll back is the same text."""
    (github,) = (step["run"] for step in DEPLOY["steps"] if "./inv" in step.get("run", ""))

    assert GITLAB_DEPLOY["script"] == [github]


@pytest.mark.parametrize(("action", "task"), [("deploy", "deploy"), ("rollback", "rollback"), ("", ""), ("x", "")])
def test_a_deploy_does_what_was_asked(tmp_path: Path, action: str, task: str) -> None:
    """The script calls the task of the action, with the values as they are; another action is an error."""
    text = GITLAB_DEPLOY["script"][0].replace("./inv", "printf '<%s>'")
    asked = {"ACTION": action, "VERSION": "1.4 $(touch x)", "TARGET": "a b", "BACK_TO": "1.3", "BREAK_LOCK": "true"}

    ran = subprocess.run(["sh", "-ec", text], cwd=tmp_path, env=asked, capture_output=True, text=True, check=False)

    expected = {
        "deploy": "<deploy><1.4 $(touch x)><--target><a b><--break-lock>",
        "rollback": "<rollback><--target><a b><--to><1.3><--break-lock>",
    }
    assert ran.stdout == expected.get(task, "")
    assert (ran.returncode == 0) == bool(task), ran.stderr
    assert not (tmp_path / "x").exists()


def _target_login(folder: Path, **values: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TARGET": "production.eu-1", **values}
    return subprocess.run(
        ["sh", str(TARGET_LOGIN), str(folder)], env=environment, capture_output=True, text=True, check=False
    )


def test_the_login_of_a_target_is_in_files_that_only_this_user_can_read(tmp_path: Path) -> None:
    """Keys are in files with mode 0600, whether they came as values or as files; the output names files only."""
    (tmp_path / "given").write_text("the kubeconfig\n", encoding="utf-8")

    ran = _target_login(
        tmp_path / "login", DEPLOY_SSH_KEY="the key", DEPLOY_KNOWN_HOSTS="host ssh-ed25519 AAAA",
        DEPLOY_KUBECONFIG=str(tmp_path / "given"), DEPLOY_HOST="ssh://deploy@host",
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    files = {path.name: path for path in (tmp_path / "login").rglob("*") if path.is_file()}
    modes = {name: path.stat().st_mode & 0o777 for name, path in files.items()}
    assert modes == {"ssh-key": 0o600, "known-hosts": 0o600, "kubeconfig": 0o600, "ssh": 0o700}
    assert (files["ssh-key"].read_text(), files["kubeconfig"].read_text()) == ("the key\n", "the kubeconfig\n")
    variables = dict(line.split("=", 1) for line in ran.stdout.splitlines())
    assert variables.pop("PATH").split(":")[0] == str(files["ssh"].parent)
    assert variables == {
        "UC_DEPLOY_TARGETS_PRODUCTION_EU_1_HOST": "ssh://deploy@host",
        "UC_DEPLOY_TARGETS_PRODUCTION_EU_1_KUBECONFIG": str(files["kubeconfig"]),
    }


def test_the_variables_of_a_target_s_login_are_keys_of_its_table(tmp_path: Path, project: Project) -> None:
    """What the login prints sets the keys of the target that the job deploys to."""
    with (project.root / "versions.toml").open("a", encoding="utf-8") as file:
        file.write('\n[deploy.targets."production.eu-1"]\nkind = "compose"\n')
    ran = _target_login(tmp_path / "login", DEPLOY_HOST="ssh://deploy@host")

    variables = dict(line.split("=", 1) for line in ran.stdout.splitlines())

    assert load(project.root, variables).deploy.targets["production.eu-1"].host == "ssh://deploy@host"


def test_a_job_trusts_only_the_host_that_it_was_given(tmp_path: Path) -> None:
    """The job's ssh takes its own key and its own known hosts, asks nobody, and trusts no other; without them it stops."""
    folder = tmp_path / "a folder"
    _target_login(folder, DEPLOY_SSH_KEY="the key", DEPLOY_KNOWN_HOSTS="host ssh-ed25519 AAAA")
    argv = [str(folder / "bin/ssh"), "-G", "-l", "deploy", "host"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    settings = dict(line.split(" ", 1) for line in printed.splitlines() if " " in line)

    assert settings["identityfile"] == str(folder / "ssh-key")
    assert settings["userknownhostsfile"].strip('"') == str(folder / "known-hosts")
    assert settings["globalknownhostsfile"] == "none"
    assert (settings["stricthostkeychecking"], settings["batchmode"]) == ("true", "yes")

    without = _target_login(tmp_path / "other", DEPLOY_SSH_KEY="the key")
    assert (without.returncode, without.stdout) == (1, "")
    assert "DEPLOY_KNOWN_HOSTS" in without.stderr
