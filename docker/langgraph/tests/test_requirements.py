"""What the agents need against what the service has, before anything is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from langgraph_harness import HERE

OWNER = "structlog==24.4.0\nhttpx>=0.1\nuvicorn[standard]<0.30 ; python_version > '3'\nfastapi==0.110.0\n"


def _settle(folder: Path) -> tuple[int, list[str], str]:
    lock = str(HERE.parent / "requirements.txt")
    command = [sys.executable, str(HERE.parent / "settle_requirements.py"), lock, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.splitlines(), done.stdout


def test_s6_every_contradiction_is_named_and_nothing_else(tmp_path: Path) -> None:
    """The last lines of the output: each line of the owner's with both sides, who needs it, and what to do."""
    (tmp_path / "requirements.txt").write_text(OWNER)
    (tmp_path / "agents.toml").write_text('[requirements]\nconflicts = "refuse"\n')

    code, lines, _ = _settle(tmp_path)

    assert (code, lines[0]) == (
        1,
        "the agents' requirements.txt contradicts the packages of langgraph-api in 3 places:",
    )
    assert f"line 1: structlog==24.4.0, but langgraph-api has {version('structlog')}" in lines[1]
    assert lines[2].startswith("  line 3: uvicorn<0.30, but langgraph-api has")
    assert lines[3].startswith("  line 4: fastapi==0.110.0, but")
    assert "remove `conflicts`" in lines[-1]
    assert len(lines) == 5


def test_s6_the_service_s_versions_win(tmp_path: Path) -> None:
    """They are written in the places of the owner's, and each is reported."""
    (tmp_path / "requirements.txt").write_text(OWNER)

    code, lines, output = _settle(tmp_path)

    written = (tmp_path / "requirements.txt").read_text().splitlines()
    assert (code, lines) == (0, [])
    assert written[0] == f"structlog=={version('structlog')}"
    assert written[1] == "httpx>=0.1"
    assert written[2].startswith(f"uvicorn[standard]=={version('uvicorn')}")
    assert output.count("WARNING:   line") == 3


@pytest.mark.parametrize(
    ("owner", "declared", "reason"),
    [
        ("-r base.txt\n", "", "line 1: -r base.txt"),
        ("structlog==1\n", '[requirements]\nconflicts = "mine"\n', 'expected "service"'),
        ("structlog==1\n", "[requirements\n", "agents.toml"),
    ],
)
def test_s6_what_can_not_be_read_is_named(tmp_path: Path, owner: str, declared: str, reason: str) -> None:
    """Included files are not there in a build; a wrong setting is no setting."""
    (tmp_path / "requirements.txt").write_text(owner)
    (tmp_path / "agents.toml").write_text(declared)

    code, lines, _ = _settle(tmp_path)

    assert (code, reason in "\n".join(lines)) == (1, True)
