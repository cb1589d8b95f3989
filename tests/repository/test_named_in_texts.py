"""Texts for contributors and maintainers name only existing files, headings, tests and commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.support.commands import refusal
from tests.support.project import REPOSITORY

TEXTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "SECURITY.md",
    REPOSITORY / ".github/PULL_REQUEST_TEMPLATE.md",
    *sorted((REPOSITORY / "docs/maintaining").rglob("*.md")),
    *(WENT_WRONG := sorted((REPOSITORY / "docs/pages/recipes").glob("*-went-wrong.md"))),
]


def _identifier(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@cache
def _top() -> set[str]:
    """The committed top-level names of the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return {name.split("/")[0] for name in listed.splitlines()}


@cache
def _tests() -> set[str]:
    """The names of all test functions, those of the services included."""
    files = [*(REPOSITORY / "tests").rglob("*.py"), *REPOSITORY.glob("docker/*/tests/**/*.py")]
    return {name for file in files for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.M)}


def _slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("text", TEXTS, ids=_identifier)
def test_every_file_that_a_text_names_is_there(text: Path) -> None:
    """Every path of the repository that a text names in backticks exists."""
    marked = re.findall(r"`([\w./*-]+)`", text.read_text(encoding="utf-8"))
    modules = {name for name in marked if re.fullmatch(r"\w+\.py", name)}
    paths = modules | {name for name in marked if name.split("/")[0] in _top()}

    assert [name for name in sorted(paths) if not [*REPOSITORY.glob(name.rstrip("/"))]] == []


@pytest.mark.parametrize("text", TEXTS, ids=_identifier)
def test_every_link_of_a_text_leads_somewhere(text: Path) -> None:
    """Every relative link leads to an existing file, and to an existing heading if it names one."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = text.parent / name if name else text
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.M) if target.is_file() else []
        if not target.exists() or (anchor and anchor not in map(_slug, headings)):
            wrong.append(link)

    assert wrong == []


@pytest.mark.parametrize("text", TEXTS, ids=_identifier)
def test_every_test_that_a_text_names_is_there(text: Path) -> None:
    """Every test that a text names exists."""
    named = set(re.findall(r"`(test_\w+)`", text.read_text(encoding="utf-8")))

    assert named - _tests() == set()


@pytest.mark.parametrize("text", TEXTS, ids=_identifier)
def test_every_selection_of_a_text_finds_a_test(text: Path) -> None:
    """Every call of pytest with `-k WORD` in a text selects at least one test."""
    calls = re.findall(r"pytest ([\w/]+) -k (\w+)", text.read_text(encoding="utf-8"))
    matches = {
        (folder, word): [path for path in (REPOSITORY / folder).rglob("test_*.py")
                         if word in path.stem or re.search(rf"^def test_\w*{word}", path.read_text(), re.M)]
        for folder, word in calls
    }  # fmt: skip

    assert [call for call, paths in matches.items() if not paths] == []


@pytest.mark.parametrize("text", WENT_WRONG, ids=_identifier)
def test_every_message_that_a_text_quotes_is_the_code_s(text: Path) -> None:
    """Each fixed part of a message quoted in a recovery guide appears in build/."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "build").rglob("*.py"))
    prose = re.sub(r"^```.*?^```", "", text.read_text(encoding="utf-8"), flags=re.M | re.S)
    quoted = [
        mark for mark in re.findall(r"`([^`\n]+)`", prose) if not re.match(r"\./inv|git |docker |kubectl |--", mark)
    ]
    parts = {part.strip() for mark in quoted for part in re.split(r"v?\d[\d.]*|origin|\S*…\S*|[,:]", mark)}

    assert sum(" " in part for part in parts) > 10
    assert [part for part in sorted(parts) if " " in part and part not in source] == []


def test_every_task_of_a_hook_can_be_typed() -> None:
    """Every task in a hook exists, with its flags; git appends the message file."""
    document = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in document["repos"] for hook in repository["hooks"]]
    words = [shlex.split(hook["entry"])[1:] + ["MESSAGE"] * ("stages" in hook) for hook in hooks
             if hook["entry"].startswith("./inv ")]  # fmt: skip

    assert words
    assert {shlex.join(one): refusal(one) for one in words if refusal(one)} == {}
