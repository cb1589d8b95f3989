"""The OpenAPI document: what the pages link to is what the service serves, and it keeps what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from groupchat_harness import SERVICE, Api

COMMITTED = SERVICE.parents[1] / "docs" / "pages" / "services" / "autogen-groupchat.openapi.json"
CONFIG = SERVICE / "tests" / "schemathesis.toml"
# A chat of 200,000 characters is a slow way to learn nothing new.
CASES, SEED = "6", "1"


def test_the_document_of_the_pages_is_the_service_s_own(server: Api) -> None:
    """`python docker/autogen/tests/openapi.py` writes it anew."""
    assert json.loads(COMMITTED.read_text("utf-8")) == server.client.get("/openapi.json").json()


@pytest.mark.timeout(240)
def test_schemathesis_finds_nothing(server: Api, tmp_path: Path) -> None:
    """Every answer to generated requests, good and bad, is one that the document describes; none is a 5xx."""
    command = [
        str(Path(sys.executable).with_name("st")),
        *("--config-file", str(CONFIG)),
        *("run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {server.token}"),
        *("--phases", "coverage,fuzzing,stateful", "--max-examples", CASES, "--seed", SEED),
        *("--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
