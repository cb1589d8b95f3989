"""The sessions that pipelines run, checked with nox itself."""

from __future__ import annotations

import itertools
import subprocess
import sys

from tests.support import pipelines
from tests.support.project import REPOSITORY


def test_every_session_of_a_pipeline_is_one_of_nox() -> None:
    """Every session that a pipeline runs, directly or through ./inv test, is one of nox's."""
    calls = [words for words in pipelines.commands() if words[0] != "./inv" or words[1] == "test"]
    pairs = [pair for words in calls for pair in itertools.pairwise(words)]
    named = [value for flag, value in pairs if flag in {"-s", "--session"}]
    listing = [sys.executable, "-m", "nox", "--list", "--sessions", *named]
    done = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert len(named) >= len(calls)
    assert done.returncode == 0, done.stderr
