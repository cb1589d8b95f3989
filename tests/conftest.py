"""Fixtures for every suite: small projects, and a check that no test changes the environment."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.project import Project, make_empty

_HERE = Path(__file__).parent
_NEED_DOCKER = {"docker", "release", "fault", "deploy", "stack"}

# A background job of a shell ignores SIGINT, one of nohup SIGHUP, and so do their children; tests send both.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# On GitHub tests read what everybody reads, and leave the summary of the job alone.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(_name, None)

# No example database in the tree, and no deadlines. `nox -s deep` tries more examples of each property.
settings.register_profile("quick", database=None, deadline=None, max_examples=20, stateful_step_count=12)
settings.register_profile("deep", database=None, deadline=None, max_examples=5000, stateful_step_count=50)
settings.load_profile("quick")


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    """A project whose manifest has no services, outside any git repository."""
    return make_empty(tmp_path / "project")


@pytest.fixture(scope="session")
def committed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original that `project` copies: a copy takes a tenth of the time that git needs."""
    project = make_empty(tmp_path_factory.mktemp("committed") / "project")
    project.service("web", 18980)
    project.git("init", "--quiet", "--initial-branch", "main", "--template=")
    project.git("config", "core.logAllRefUpdates", "false")
    project.commit("Start")
    for command in (["repack", "-adq"], ["pack-refs", "--all"]):  # fewer files for each copy
        project.git(*command)
    return project.root


@pytest.fixture
def project(tmp_path: Path, committed_once: Path) -> Project:
    """A project with one service, `web`, on port 18980, and one commit."""
    return Project(shutil.copytree(committed_once, tmp_path / "project"))


@pytest.fixture(autouse=True)
def environment_is_kept() -> Iterator[None]:
    """Fail a test that leaves the environment changed."""
    before = dict(os.environ)
    yield
    before.pop("PYTEST_CURRENT_TEST", None)
    after = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    assert after == before, "a test changed os.environ"


def pytest_collection_finish() -> None:
    """Keep what was collected out of every later garbage collection: a tenth of the time of small tests."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--deep`, the samples of tests/support/samples.py, too; `--kills N` and `--seed FIRST`, what test_kill.py tries."""
    parser.addoption("--deep", action="store_true", help="run the samples that CI leaves out, too")
    parser.addoption("--kills", type=int, default=6, help="how many seeds to try")
    parser.addoption("--seed", type=int, default=0, help="the first of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test of a suite that needs the Docker engine with `docker`; leave deep samples out without `--deep`."""
    if not config.getoption("--deep"):
        left_out = [item for item in items if item.get_closest_marker("deep")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if _NEED_DOCKER & set(item.path.relative_to(_HERE).parts[:1] if item.path.is_relative_to(_HERE) else ()):
            item.add_marker(pytest.mark.docker)
