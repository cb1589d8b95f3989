"""The pipelines call existing tasks, have minimal rights, and never cancel a release. See test_deploy_pipelines.py, too."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from build.config.load import load
from build.gates.scan import gitlab
from tests.support import commands, pipelines
from tests.support.project import REPOSITORY, Project

TASKS = [words[1:] for full in (False, True) for words in pipelines.commands(full=full) if words[0] == "./inv"]
JOBS = pipelines.github_jobs()
GITLAB_JOBS = pipelines.gitlab_jobs()
PROTECTED = '$CI_COMMIT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'
UNSCHEDULED = '$CI_PIPELINE_SOURCE != "schedule"'
CHECKOUTS = {
    place: step["with"]
    for place, job in JOBS.items()
    for step in job.get("steps", [])
    if step.get("uses", "").startswith("actions/checkout@")
}


@pytest.mark.parametrize("words", [list(words) for words in dict.fromkeys(map(tuple, TASKS))], ids=shlex.join)
def test_every_task_of_a_pipeline_can_be_typed(words: list[str]) -> None:
    """Every task and flag in a pipeline exists, those that an input adds included."""
    assert commands.refusal(words) == ""


def test_both_systems_do_what_the_other_does() -> None:
    """GitHub and GitLab call the same tasks with the same arguments, in the same order."""
    github: list[list[str]] = []
    gitlab: list[list[str]] = []
    for full in (False, True):
        for script in pipelines.scripts():
            (gitlab if script.place.startswith(pipelines.GITLAB.name) else github).extend(script.commands(full=full))

    assert github == gitlab


@pytest.mark.parametrize("path", pipelines.FILES, ids=lambda path: path.name)
def test_a_pipeline_repeats_nothing_of_the_manifest(path: Path) -> None:
    """Services, images, ports and release branches are only in versions.toml."""
    manifest = load(REPOSITORY, {}, local=False)
    bases = [base.reference for base in manifest.bases.images.values()]
    ports = [str(settings.published) for _, settings in manifest.containers().values()]
    branches = [name for name in manifest.release.branches if name != "main"]
    text = path.read_text(encoding="utf-8")

    repeated = [
        word
        for word in [*manifest.services, *bases, *ports, *branches]
        if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)
    ]
    assert repeated == []


@pytest.mark.parametrize(
    "name",
    sorted(
        {name for path in pipelines.FILES for name in re.findall(r"UC_[A-Z_]+[A-Z]", path.read_text())}
        - {"UC_CACHE_DIR"}
    ),
)
def test_a_setting_of_a_pipeline_is_a_key_of_the_manifest(name: str) -> None:
    """Every UC_ variable in a pipeline sets a key of the manifest."""
    shipped = load(REPOSITORY, {}, local=False)

    assert load(REPOSITORY, {name: "false"}, local=False) != shipped


# Rights --------------------------------------------------------------------------------------------------------------


def test_every_action_is_pinned_by_its_commit() -> None:
    """An action is named by 40 hex digits, and a comment says which version they are; our own workflows excepted."""
    lines = [line.strip("- ") for path in pipelines.WORKFLOWS for line in path.read_text().splitlines()]
    used = [line.strip() for line in lines if line.strip().startswith("uses:")]
    ours = [line for line in used if line.startswith("uses: ./")]
    pinned = [line for line in used if re.fullmatch(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]

    assert pinned
    assert len(pinned) + len(ours) == len(used)


def test_an_action_has_one_version() -> None:
    """An action is pinned to the same commit wherever it is used."""
    text = "".join(path.read_text() for path in pipelines.WORKFLOWS)
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"uses: ([\w./-]+)@(.+)", text):
        versions.setdefault(name, set()).add(version)

    assert {name for name, found in versions.items() if len(found) > 1} == set()


@pytest.mark.parametrize("path", pipelines.WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_rights_that_no_job_asked_for(path: Path) -> None:
    """Workflows have no rights, each job requests its own, and only the release may write to the repository."""
    workflow = pipelines.read(path)
    writers = [name for name, job in workflow["jobs"].items() if job["permissions"].get("contents") == "write"]

    assert workflow["permissions"] == {}
    assert writers in ([], ["release"])


@pytest.mark.parametrize("path", pipelines.WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_gives_its_secrets_to_a_fork(path: Path) -> None:
    """No workflow uses a trigger that runs a fork's commit with the repository's rights."""
    assert {"pull_request_target", "workflow_run"} & set(pipelines.read(path)[True]) == set()


@pytest.mark.parametrize("script", pipelines.scripts(), ids=lambda script: script.place)
def test_a_script_is_the_same_whatever_the_event(script: pipelines.Script) -> None:
    """Scripts contain no expressions, which would be executed as code: values reach them as variables."""
    assert "${{" not in script.text


@pytest.mark.parametrize("script", pipelines.scripts(), ids=lambda script: script.place)
def test_no_password_stands_on_a_command_line(script: pipelines.Script) -> None:
    """A password is only written by the shell's built-in printf to a file created under umask 077."""
    lines = [line for line in script.text.splitlines() if re.search(r"\$\{?\w*(PASSWORD|TOKEN)\b", line)]

    assert [line for line in lines if "printf '%s'" not in line or ">" not in line] == []
    assert not lines or "umask 077" in script.text


def test_only_the_release_keeps_its_credentials() -> None:
    """Only the job that pushes a tag keeps its checkout token; every checkout has the full history."""
    assert {place for place, options in CHECKOUTS.items() if options["persist-credentials"]} == {"release.yml:release"}
    assert {options["fetch-depth"] for options in CHECKOUTS.values()} == {0}
    assert pipelines.read(pipelines.GITLAB)["variables"]["GIT_DEPTH"] == "0"


# What runs when ------------------------------------------------------------------------------------------------------


def test_nothing_cancels_a_release() -> None:
    """Releases run one at a time, and no newer push cancels one that may have claimed its version."""
    release, gitlab = JOBS["release.yml:release"], GITLAB_JOBS["release"]

    assert release["concurrency"] == {"group": "release", "cancel-in-progress": False}
    assert "concurrency" not in pipelines.read(pipelines.WORKFLOWS[0].with_name("release.yml"))
    assert (gitlab["interruptible"], gitlab["resource_group"]) == (False, "release")


def test_only_protected_branches_release() -> None:
    """The right to push a branch is not enough to release from it."""
    assert JOBS["release.yml:release"]["if"] == "${{ github.ref_protected }}"
    assert [rule["if"] for rule in GITLAB_JOBS["release"]["rules"]] == [
        f'$TARGET == "" && {UNSCHEDULED} && {PROTECTED}'
    ]


def test_the_newest_release_is_scanned_every_night() -> None:
    """A schedule scans what is released, with the login of its registry, and does nothing else; nobody approves it."""
    github = pipelines.read(pipelines.WORKFLOWS[0].with_name("rescan.yml"))
    others = [rule["if"] for name, job in GITLAB_JOBS.items() if name != "rescan" for rule in job["rules"]]
    requests = ('$CI_PIPELINE_SOURCE == "merge_request_event"', '$TARGET != ""')

    assert re.fullmatch(r"\d+ \d+ \* \* \*", github[True]["schedule"][0]["cron"])
    assert [rule["if"] for rule in GITLAB_JOBS["rescan"]["rules"]] == [
        f'$TARGET == "" && $CI_PIPELINE_SOURCE == "schedule" && {PROTECTED}'
    ]
    assert [rule for rule in others if UNSCHEDULED not in rule and not rule.startswith(requests)] == []
    for job in (JOBS["rescan.yml:rescan"], GITLAB_JOBS["rescan"]):
        assert "environment" not in job
        assert "cache" not in str(job.get("steps", job.get("cache", "")))
    assert [words for words in pipelines.commands() if "--release" in words] == [
        ["./inv", "scan", "--release", "newest"]
    ]


def test_a_release_waits_for_the_checks_and_takes_nothing_from_a_cache() -> None:
    """A release waits for the checks, and uses no cache that a pull request could have poisoned."""
    release = JOBS["release.yml:release"]

    assert release["needs"] == "check"
    assert [step for step in release["steps"] if "cache" in step.get("uses", "")] == []
    assert "cache" not in GITLAB_JOBS["release"]


def test_every_job_ends() -> None:
    """Every job has its own timeout."""
    assert [place for place, job in JOBS.items() if "runs-on" in job and "timeout-minutes" not in job] == []
    assert "timeout" in pipelines.read(pipelines.GITLAB)["default"]


@pytest.mark.parametrize("path", pipelines.FILES, ids=lambda path: path.name)
def test_no_pipeline_uses_a_floating_version(path: Path) -> None:
    """Runners and images are pinned to a version."""
    assert "latest" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "place", [place for place, job in JOBS.items() if "steps" in job and place != "commits.yml:commits"]
)
def test_every_job_hands_over_its_reports(place: str) -> None:
    """Every job that has reports uploads them, also after a failure."""
    job = JOBS[place]
    uploads = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]

    assert [step["if"] for step in uploads] == ["${{ !cancelled() }}"]
    assert uploads[0]["with"]["path"].startswith(".uc/reports/")
    assert uploads[0]["with"]["include-hidden-files"] is True


def test_gitlab_gets_the_reports_as_its_own_kinds() -> None:
    """GitLab gets JUnit test results from every job, and from the scan bills of materials and vulnerabilities."""
    kept = pipelines.read(pipelines.GITLAB)["default"]["artifacts"]
    images = GITLAB_JOBS["images"]["artifacts"]

    assert (kept["when"], kept["reports"]) == ("always", {"junit": ".uc/reports/*.xml"})
    assert images["reports"] == {
        "junit": ".uc/reports/*.xml",
        "cyclonedx": ".uc/reports/scan/*.cdx.json",
        "container_scanning": f".uc/reports/scan/{gitlab.FILE}",
    }


def test_the_messages_and_the_title_of_a_request_are_checked() -> None:
    """A pull or merge request is stopped by a message, or a title, that is no Conventional Commit; a push is not."""
    github = pipelines.read(pipelines.WORKFLOWS[0].with_name("commits.yml"))
    gitlab_job = GITLAB_JOBS["commits"]

    assert github[True] == {"pull_request": {"types": ["opened", "reopened", "synchronize", "edited"]}}
    assert gitlab_job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    checks = [words[1:] for words in pipelines.commands() if words[1] == "commits.check"]
    assert checks == [["commits.check"], ["commits.check", "--message", ".uc/title"]]


@pytest.mark.parametrize(
    ("title", "code"), [("fix(api): Answer", 0), ("Draft: fix(api): Answer", 0), ("Answer $(touch x); `touch x`", 3)]
)
def test_the_title_is_text_for_the_shell(project: Project, title: str, code: int) -> None:
    """GitLab's script checks the title as it is written, without "Draft: " and without running any of it."""
    text = "\n".join(GITLAB_JOBS["commits"]["script"][1:]).replace("./inv", '"$PYTHON" -m invoke')
    (project.root / ".uc").mkdir()
    environment = project.environment(CI_MERGE_REQUEST_TITLE=title, TITLE=".uc/title", PYTHON=sys.executable)

    ran = subprocess.run(["bash", "-ec", text], cwd=project.root, env=environment, capture_output=True, check=False)

    assert ran.returncode == code, ran.stderr
    assert not (project.root / "x").exists()
