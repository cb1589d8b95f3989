"""What contributors and maintainers rely on: hooks, editor settings, dev container, Renovate, decision records."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from build import dockerignore
from tests.support.commands import refusal
from tests.support.project import REPOSITORY

MAINTAINING = REPOSITORY / "docs" / "maintaining"
RECORDS = sorted((MAINTAINING / "decisions").glob("*.md"))
HEADINGS = ["Context", "Decision", "Consequences", "What would change it"]
LOCKS = sorted([*REPOSITORY.glob("requirements*.txt"), *REPOSITORY.glob("docker/*/*.txt")])
# Renovate 44, lib/modules/manager/pip-compile/common.ts: what it takes of a header whose command is uv.
UV_OPTIONS = {"--universal", "--generate-hashes", "--python-version", "--constraint", "--output-file"}


def _json(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((REPOSITORY / name).read_text(encoding="utf-8"))
    return document


@cache
def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


# Hooks and editors ---------------------------------------------------------------------------------------------------


def _hooks() -> list[dict[str, Any]]:
    document = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in document["repos"]} == {"local"}
    hooks = [hook for repository in document["repos"] for hook in repository["hooks"]]
    stages = {stage for hook in hooks for stage in hook.get("stages", document["default_stages"])}
    assert stages == set(document["default_install_hook_types"]), "a hook whose stage is not installed never runs"
    return hooks


def test_hooks_need_no_hub() -> None:
    """Every hook runs a hash-locked tool or a task of this checkout."""
    locked = "\n".join(lock.read_text(encoding="utf-8") for lock in REPOSITORY.glob("requirements*.txt"))
    for hook in _hooks():
        folder, _, program = hook["entry"].split()[0].rpartition("/")
        assert hook["language"] == "system", hook["id"]
        assert (folder, program) == (".", "inv") or folder == ".venv/bin", hook["id"]
        assert program == "inv" or re.search(rf"^{program}==", locked, re.M), hook["id"]


def test_every_tracked_file_is_as_the_editor_would_write_it() -> None:
    """Encoding, line endings, final newline and trailing whitespace follow .editorconfig."""
    settings = configparser.ConfigParser()
    settings.read_string("[root]\n" + (REPOSITORY / ".editorconfig").read_text(encoding="utf-8"))
    line_ends = {"lf": "\n", "crlf": "\r\n"}
    wrong = []
    for path in _tracked():
        wanted = {key: value for name in settings.sections() for key, value in settings.items(name)
                  if fnmatch.fnmatchcase(path.name, name)}  # fmt: skip
        text = path.read_bytes().decode(wanted["charset"])
        end = line_ends[wanted["end_of_line"]]
        lines = text.split(end)
        trimmed = wanted["trim_trailing_whitespace"] == "true"
        blanks = any(line != line.rstrip() for line in lines)  # a line ending of the other kind also counts
        if (trimmed and blanks) or (text and not text.endswith(end)):
            wrong.append(str(path.relative_to(REPOSITORY)))

    assert wrong == []
    ruff = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert settings.getint("*.py", "max_line_length") == ruff["line-length"]


def test_the_dev_container_is_an_image_and_tasks() -> None:
    """It does not run as root, uses no features from a hub, and its commands exist."""
    container = _json(".devcontainer/devcontainer.json")
    tasks = [value for key, value in container.items() if key.endswith("Command") and value.startswith("./inv")]

    assert container["remoteUser"] != "root"
    assert "features" not in container
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+-\w+", container["image"])
    assert tasks
    assert {task: refusal(shlex.split(task)[1:]) for task in tasks} == dict.fromkeys(tasks, "")


# Renovate ------------------------------------------------------------------------------------------------------------


def _base_manager() -> tuple[re.Pattern[str], str]:
    """The expression that finds bases in versions.toml, and the replacement template."""
    (manager,) = _json(".github/renovate.json")["customManagers"]
    (expression,) = manager["matchStrings"]
    (pattern,) = manager["managerFilePatterns"]
    assert re.search(pattern.strip("/"), "versions.toml")
    return re.compile(expression.replace("(?<", "(?P<")), manager["autoReplaceStringTemplate"]


def _bases(text: str) -> set[tuple[str, str]]:
    images = tomllib.loads(text)["bases"]["images"].values()
    return {(image["reference"], image["digest"]) for image in images}


def test_renovate_finds_every_base() -> None:
    """The expression matches the reference and digest of each base in versions.toml, and nothing else."""
    expression, _ = _base_manager()
    text = (REPOSITORY / "versions.toml").read_text(encoding="utf-8")
    matches = {
        (f"{match['depName']}:{match['currentValue']}", match["currentDigest"] or "")
        for match in expression.finditer(text)
    }

    assert matches == _bases(text)


def test_what_renovate_writes_is_the_base_that_it_means() -> None:
    """After the replacement the manifest has the new tag and digest, whether or not there was a digest before."""
    expression, template = _base_manager()
    text = (REPOSITORY / "versions.toml").read_text(encoding="utf-8")
    for digest in (f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"):

        def write(match: re.Match[str], digest: str = digest) -> str:
            written = {"depName": match["depName"], "newValue": "9.9-slim", "newDigest": digest}
            return re.sub(r"\{\{\{(\w+)\}\}\}", lambda name: written[name[1]], template)

        before, text = _bases(text), expression.sub(write, text)
        assert _bases(text) == {(f"{reference.rpartition(':')[0]}:9.9-slim", digest) for reference, _ in before}


def test_renovate_merges_nothing() -> None:
    """Renovate never merges automatically."""
    text = (REPOSITORY / ".github/renovate.json").read_text(encoding="utf-8")

    assert re.findall(r'"automerge\w*": (\w+)', text) == ["false"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(REPOSITORY)))
def test_each_lock_says_the_command_that_made_it(lock: Path) -> None:
    """Each lock's header has the uv command that made it, which Renovate can run on existing files."""
    name = lock.relative_to(REPOSITORY).as_posix()
    patterns = _json(".github/renovate.json")["pip-compile"]["managerFilePatterns"]
    _, header = lock.read_text(encoding="utf-8").splitlines()[:2]
    program, pip, verb, *arguments = shlex.split(header.removeprefix("#"))
    given = {option: value for option, _, value in (argument.partition("=") for argument in arguments[:-1])}

    assert any(re.search(pattern.strip("/"), name) for pattern in patterns)
    assert (program, pip, verb) == ("uv", "pip", "compile")
    assert set(given) <= UV_OPTIONS
    assert {"--universal", "--generate-hashes"} <= set(given)
    assert given["--output-file"] == name
    assert arguments[-1] == name.removesuffix(".txt") + ".in"
    assert (REPOSITORY / arguments[-1]).is_file()
    assert (REPOSITORY / given.get("--constraint", name)).is_file()


# Records -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_is_recorded_in_four_parts(record: Path) -> None:
    """Every record has context, decision, consequences and what would change it, in at most 40 lines."""
    text = record.read_text(encoding="utf-8")

    assert re.findall(r"^## (.*)$", text, re.M) == HEADINGS
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.M))
    assert len(text.splitlines()) <= 40


def test_every_decision_is_listed() -> None:
    """The index lists each record under its title, by number, without gaps."""
    index = (MAINTAINING / "README.md").read_text(encoding="utf-8")
    titles = [record.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for record in RECORDS]
    listed = re.findall(r"^- \[(.*)\]\(decisions/(.*)\)$", index, re.M)

    assert listed == [(title, record.name) for title, record in zip(titles, RECORDS, strict=True)]
    assert [int(record.name[:2]) for record in RECORDS] == [*range(1, len(RECORDS) + 1)]


def test_every_threat_names_what_holds_it() -> None:
    """Every threat that the threat model calls defended names a test, or reviewers."""
    text = (MAINTAINING / "threat-model.md").read_text(encoding="utf-8")
    holding = text.partition("## What is defended\n")[2].partition("\n## ")[0]
    rows: list[str] = re.findall(r"^\| (?!Threat)(.*) \|$", holding, re.M)

    assert rows
    assert [row for row in rows if not re.search(r"`test_\w+`|reviewers$", row.rpartition(" | ")[2])] == []


def test_maintainers_pages_are_in_no_image() -> None:
    """Maintainers' pages are in no build context, so changing them does not change the documentation's image."""
    rules = dockerignore.rules_of(REPOSITORY / "docs")

    assert rules.ignored("maintaining/README.md")
    assert not rules.ignored("pages/index.md")
