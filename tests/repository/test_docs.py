"""The pages match the code: tasks, flags, sessions, keys with their defaults, exit codes."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build import errors, interrupts
from build.config import manifest, reference
from tests.support import pipelines
from tests.support.commands import CONTEXTS, refusal, sessions
from tests.support.project import REPOSITORY

PAGES = REPOSITORY / "docs" / "pages"
README = REPOSITORY / "README.md"
MAINTAINING = [
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "SECURITY.md",
    REPOSITORY / ".github/PULL_REQUEST_TEMPLATE.md",
    *(REPOSITORY / "docs/maintaining").rglob("*.md"),
]
TEXTS = [*(one for one in (README, *sorted(MAINTAINING)) if one.exists()), *sorted(PAGES.rglob("*.md"))]
NAMES = {str(context.name) for context in CONTEXTS}
SECTIONS = {kind: heading for kind, heading in reference.HEADINGS.items() if kind is not manifest.Manifest}


def _code(text: str) -> Iterator[str]:
    """Yield what a reader may copy: the lines of code blocks, and inline code."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)
    indented = re.findall(r"^    (\S.*)$", text, re.M)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    yield from (line for block in fenced for line in block.splitlines())
    yield from indented
    yield from re.findall(r"`([^`\n]+)`", prose)


def _commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of `program`, without comments and placeholders such as TASK."""
    for code in _code(text):
        for arguments in re.findall(rf"(?:^|\s){re.escape(program)}(?=\s)([^|]*)", code):
            words = shlex.split(arguments.strip().partition("  ")[0], comments=True)
            if words and not words[0].isupper():
                yield words


def _headings(page: str) -> dict[str, str]:
    """Return heading → the text below it, for one page."""
    return reference.sections((PAGES / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_inv_command_can_be_typed(path: Path) -> None:
    """Every ./inv command in the pages has valid tasks, flags and arguments."""
    commands = list(_commands(path.read_text(encoding="utf-8"), "./inv"))
    wrong = {shlex.join(words): reason for words in commands if (reason := refusal(words))}

    assert wrong == {}


def test_the_table_of_pipelines_has_what_they_run() -> None:
    """The table lists exactly the commands that CI runs."""
    table = [line for line in _headings("pipelines.md")["What they do"].splitlines() if line.startswith("| ")]
    ran = {shlex.join(words) for words in pipelines.commands()}

    assert set(re.findall(r"`([^`]+)`", "\n".join(table))) == ran


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_nox_session_exists(path: Path) -> None:
    """Every session that a page names is in the noxfile."""
    text = path.read_text(encoding="utf-8")
    calls = [words for program in ("nox", ".venv/bin/nox") for words in _commands(text, program)]
    named = {words[1].partition("(")[0] for words in calls if words[0] in {"-s", "--session"}}

    assert named - sessions() == set()


def test_every_task_and_session_has_a_section() -> None:
    """The page on tasks covers every task and session."""
    headings = set(_headings("tasks.md"))

    assert {name for name in NAMES if name not in headings} == set()
    assert {name for name in sessions() if f"Session {name}" not in headings} == set()


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: str(context.name))
def test_a_task_s_section_lists_its_flags(context: Any) -> None:
    """A task's table lists exactly its flags."""
    section = _headings("tasks.md")[context.name]
    listed = {flag.split()[0] for flag in reference.rows(section) if flag.startswith("--")}

    assert listed == set(context.flags)


@pytest.mark.parametrize(("shape", "heading"), SECTIONS.items(), ids=SECTIONS.values())
def test_the_reference_has_every_key_with_its_default(shape: Any, heading: str) -> None:
    """Each key of versions.toml is in the table of its section, with the code's default."""
    rows = reference.rows(_headings("versions-toml.md")[heading])
    fields = {field.name: field for field in dataclasses.fields(shape)}

    assert set(rows) - {"Key"} == set(fields)
    assert {name: rows[name][2].strip("`") for name in fields} == {name: _default(one) for name, one in fields.items()}


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return json.dumps(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "required"
    return "none" if field.default is None else json.dumps(field.default)


def test_the_example_of_a_service_passes_lint() -> None:
    """Who copies the Python of the page on adding a service has a file that lint accepts, in its style as well."""
    page = (PAGES / "adding-a-service.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.M | re.S)
    file = ["--stdin-filename", "docker/hello/hello_service/__main__.py", "-"]

    for command in (["check"], ["format", "--check"]):
        argv = [sys.executable, "-m", "ruff", *command, *file]
        done = subprocess.run(argv, cwd=REPOSITORY, input=code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("monitoring", "docker/monitoring/monitor_service/openapi.json"),
        ("powershell-modules", "docker/powershell/server/openapi.json"),
    ],
)
def test_the_api_document_is_the_service_s_own(name: str, own: str) -> None:
    """The document that a page shows is the one that the service serves; the other services' own tests compare theirs."""
    assert (PAGES / f"services/{name}.openapi.json").read_bytes() == (REPOSITORY / own).read_bytes()


def test_every_api_document_is_a_page() -> None:
    """Each OpenAPI document among the pages is rendered by a page of its service's name."""
    documents = {path.name.removesuffix(".openapi.json") for path in (PAGES / "services").glob("*.openapi.json")}
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (PAGES / "services/api").glob("*.md")}

    assert set(pages) == documents
    assert {name for name, text in pages.items() if f"<!-- openapi: ../{name}.openapi.json -->" not in text} == set()


def test_the_reference_has_every_section() -> None:
    """Every section of the manifest has a heading."""
    headings = " ".join(_headings("versions-toml.md"))
    fields = {field.name for field in dataclasses.fields(manifest.Manifest)} - {"root", "folder"}

    assert {name for name in fields if f"[{name}" not in headings} == set()


def test_troubleshooting_has_every_exit_code() -> None:
    """Each kind of failure is in the table under its exit code, with a fix."""
    rows = reference.rows(_headings("troubleshooting.md")["Exit codes"])
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.BuildError)]
    documented = {number: row[1].replace("`", "") for number, row in rows.items() if number.isdigit() and row[3]}

    others = {str(errors.INTERRUPTED): "Ctrl-C", str(errors.OUTPUT_CLOSED): "closed output"}
    ended = [interrupts.exit_code(interrupts.Ended(number)) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert rows.pop(", ".join(map(str, ended)))[1] == "SIGTERM, SIGHUP"
    named: dict[str, list[str]] = {}
    for kind in kinds:
        named.setdefault(str(kind.exit_code), []).append(kind.__name__)
    assert documented == {code: ", ".join(names) for code, names in named.items()} | others
