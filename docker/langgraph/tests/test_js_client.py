"""LangGraph's own JavaScript client, at the version of js/package-lock.json; Node and npm are what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from langgraph_harness import Endpoint

JS = Path(__file__).with_name("js")


@pytest.mark.timeout(300)
def test_the_javascript_client_works(server: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every part of the API through the JavaScript client, installed from its lock."""
    folder = tmp_path_factory.mktemp("js")
    for file in JS.iterdir():
        shutil.copy(file, folder)
    # npm gives a download that stalls five minutes.
    patience = ["--fetch-timeout=20000", "--fetch-retries=5", "--fetch-retry-mintimeout=1000"]
    install = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *patience]
    subprocess.run(install, cwd=folder, check=True, timeout=200)
    environment = {**os.environ, "UC_SERVICE_URL": server.url, "UC_SERVICE_KEY": server.key}

    done = subprocess.run(
        ["node", "--test", "--test-timeout=60000", "client.test.mjs"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
