"""The table of other tools' environment variables, walked: what reaches a program that the toolkit starts."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from build import process, variables
from build.engine import client as docker
from build.git import client as git_client
from build.images import bake
from build.machine import pip_settings
from build.stack import compose
from tests.support.project import REPOSITORY, Project

# One variable for each name or pattern of the table.
NAMED = {
    pattern.replace("*", "_X" if pattern.endswith("DEX*") else "X"): rule.decision
    for rule in variables.RULES
    for pattern in rule.names
}
HONOURED = {name for name, decision in NAMED.items() if decision == "honoured"}
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
# Values that Python itself refuses or obeys are harmless ones.
VALUES = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8", "PYTHONHASHSEED": "1", "PYTHONMALLOC": "malloc", "LC_X": "C"}


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which every variable of the table is set."""
    values = VALUES | {"PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}  # Python writes there
    for name in NAMED:
        monkeypatch.setenv(name, values.get(name, "0" if name.startswith("PYTHON") else "hostile"))


def _arrived(environment: dict[str, str]) -> set[str]:
    return NAMED.keys() & environment.keys()


def test_a_star_stands_at_the_end_of_a_pattern() -> None:
    """Elsewhere it would be taken for itself."""
    assert [name for rule in variables.RULES for name in rule.names if set(name[:-1]) & set("*?[")] == []


@pytest.mark.usefixtures("everything")
def test_e1_each_variable_of_the_table_arrives_or_does_not() -> None:
    """A program gets what is honoured and nothing of what is neutralised, however it is started."""
    argv = [sys.executable, "-c", SHOW]
    outputs = [
        process.run(argv).stdout,
        next(process.records(argv))[0],
        next(process.lines(argv)),
    ]

    assert [_arrived(json.loads(output)) for output in outputs] == [HONOURED] * len(outputs)


@pytest.mark.usefixtures("everything")
def test_e1_no_call_of_docker_gets_what_is_neutralised(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose, bake, the plain client and python-on-whales: each starts docker without it."""
    recorder = tmp_path / "docker"
    recorder.write_text(f"#!/bin/sh\nenv >>'{tmp_path}/seen'\nprintf 'call %s\\n' \"$*\" >>'{tmp_path}/seen'\n")
    recorder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(docker, "docker", lambda: str(recorder))
    manifest = project.load()
    compose.write(manifest, {"web": "x"})

    compose.run(manifest, "ps")
    bake.run(tmp_path / "bake.json", [], metadata=tmp_path / "m", log=tmp_path / "log", progress="quiet")
    docker.cli("version")
    docker.client().container.start("x")

    seen = (tmp_path / "seen").read_text()
    names = set(re.findall(r"^(\w+)=", seen, re.MULTILINE))
    calls = re.findall(r"^call (.*)$", seen, re.MULTILINE)
    assert names & NAMED.keys() == HONOURED
    assert [call.split()[0] for call in calls] == ["compose", "buildx", "version", "container"]
    assert f"--project-name {manifest.project.name} " in calls[0]
    assert "--builder default " in calls[1]


@pytest.mark.usefixtures("everything")
def test_e6_pip_and_uv_get_their_own_settings_alone() -> None:
    """What pip is configured with comes by `pip config list`; uv's own honoured variables go first."""
    for_pip = pip_settings.for_pip({"index-url": "https://a"}, os.environ)
    for_uv = pip_settings.for_uv({}, os.environ)

    assert {name for name in for_pip if name.startswith("PIP_")} == {"PIP_INDEX_URL", "PIP_CONFIG_FILE"}
    assert {name for name in for_uv if name.startswith("UV_")} == {
        "UV_NO_CONFIG", *(name for name in HONOURED if name.startswith("UV_")),
    }  # fmt: skip
    others = HONOURED - {name for name in HONOURED if name.startswith(("PIP_", "UV_", "PYTHON"))}
    for environment in (for_pip, for_uv):
        assert {name for name in _arrived(environment) if not name.startswith(("PIP_", "UV_"))} == others


def test_git_s_own_settings_come_after_a_user_s(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    """Configuration that a CI system counts up stays, and what would change a result is set after it."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (key, value) in enumerate({"user.name": "From CI", "color.ui": "always"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)

    assert git_client.git(project.root, "config", "user.name") == "From CI"
    assert git_client.git(project.root, "config", "color.ui") == "false"


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("DOCKER_HOST", "honoured"), ("DOCKER_DEFAULT_PLATFORM", "neutralised"), ("COMPOSE_PROJECT_NAME", "neutralised"),
        ("BUILDX_BUILDER", "neutralised"), ("SOURCE_DATE_EPOCH", "neutralised"), ("GIT_SSH_COMMAND", "honoured"),
        ("GIT_DIR", "neutralised"), ("GIT_CONFIG_PARAMETERS", "neutralised"), ("PIP_INDEX_URL", "honoured"),
        ("PIP_TARGET", "neutralised"), ("UV_INDEX_URL", "honoured"), ("UV_INDEX_CORP_PASSWORD", "honoured"),
        ("UV_PYTHON", "neutralised"), ("PYTHONPATH", "neutralised"), ("TRIVY_IGNORE_UNFIXED", "neutralised"),
        ("TRIVY_USERNAME", "honoured"), ("https_proxy", "honoured"), ("LC_ALL", "honoured"), ("LANGUAGE", "neutralised"),
        ("NOXSESSION", "neutralised"), ("INVOKE_DEBUG", "honoured"), ("INVOKE_RUN_ECHO", "neutralised"),
    ],
)  # fmt: skip
def test_what_is_decided(name: str, decision: str) -> None:
    """The variables that people really set, each by the first rule that names it."""
    rule = variables.rule_of(name)

    assert rule
    assert rule.decision == decision


@pytest.mark.parametrize("name", ["PATH", "HOME", "UC_REGISTRY_ADDRESS", "TRIVYISH", "GITHUB_ACTIONS", "CI", "TERM"])
def test_what_no_rule_names_stays(name: str) -> None:
    """The rest of an environment is no business of the table."""
    assert variables.rule_of(name) is None
    assert variables.kept({name: "x"}) == {name: "x"}


def test_no_rule_is_hidden_by_one_before_it() -> None:
    """Each name of the table is decided by the rule that lists it."""
    hidden = {
        name for name, decision in NAMED.items() if (rule := variables.rule_of(name)) and rule.decision != decision
    }

    assert hidden == set()


def test_the_page_has_the_table() -> None:
    """docs/pages/environment.md lists each rule: tool, variables, decision, reason."""
    page = (REPOSITORY / "docs/pages/environment.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    expected = [
        f"| {rule.tool} | {' '.join(f'`{name}`' for name in rule.names)} | {rule.decision} | {rule.why} |"
        for rule in variables.RULES
    ]

    assert [row for row in rows if row.count(" | ") == 3 and "`" in row] == expected
