"""What a copy button takes is one command: a block never holds commands of which a reader wants only one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.project import REPOSITORY

TEXTS = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted(REPOSITORY.glob("docker/*/README.md")),
]
# What is typed one line after another from the top; each line needs the one before it.
SEQUENCES = {"CONTRIBUTING.md": "git clone … && cd …"}
DATA = {"bash", "console", "", "sh", "shell", "text"}
PROGRAM = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:sudo )?(?:\./|\.venv/bin/)?"
    r"(?:inv(?:\.cmd)?|nox|pytest|prek|git|docker|curl|pip|uv|npm|apt-get|oras|skopeo|crane|cosign|trivy|export|cp|cd)\s"
)


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the language and the content of each fenced and each indented block."""
    fenced = re.findall(r"^ *```([^\n]*)\n(.*?)^ *```$", text, re.M | re.S)
    rest = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    return [*fenced, *(("", block) for block in re.findall(r"(?:^    \S.*\n(?:\n(?=    \S))?)+", rest, re.M))]


def commands(language: str, block: str) -> list[str]:
    """Return the command lines of a block; a line after a backslash belongs to the one before it."""
    if language.split(" ", maxsplit=1)[0] not in DATA:
        return []
    lines = [line.strip() for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    if prompted := [line for line in lines if line.startswith("$ ")]:
        return prompted
    return [line for line in lines if PROGRAM.match(f"{line} ")]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_d1_a_block_has_one_command(path: Path) -> None:
    """No block offers a dry run and the act, or several releases, as one piece to copy."""
    copied = [commands(language, block) for language, block in blocks(path.read_text(encoding="utf-8"))]
    sequence = SEQUENCES.get(path.name)

    assert [lines for lines in copied if len(lines) > 1 and lines[0] != sequence] == []


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "docs/pages").rglob("*.md")), ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_a_block_with_a_prompt_is_a_session(path: Path) -> None:
    """A prompt and the output are left out of what is copied, which takes the language `console`."""
    marked = [language for language, block in blocks(path.read_text(encoding="utf-8")) if block.startswith("$ ")]

    assert set(marked) <= {"console"}


@pytest.mark.parametrize(
    ("language", "block", "count"),
    [
        ("", "./inv release --dry-run\n./inv release\n", 2),
        ("console", "$ ./inv ps\n   container  state\n$ ./inv down\n", 2),
        ("sh", "curl -s http://127.0.0.1:5985/invoke \\\n  -d '{}'\n", 1),
        ("", "FLUENTD_ADDRESS=127.0.0.1:24224 ./inv up --fluentd\ndocker ps\n", 2),
        ("toml", "git = 1\ndocker = 2\n", 0),
    ],
    ids=["two lines", "prompts", "a line that goes on", "a variable in front", "data"],
)
def test_commands_are_seen_in_every_form(language: str, block: str, count: int) -> None:
    """A prompt, a variable in front and a line that goes on are read as a shell reads them."""
    assert len(commands(language, block)) == count
