"""An agents folder, read without importing anything of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from build.sources import agents
from tests.support.project import REPOSITORY

LOCK = "structlog==26.1.0 \\\n    --hash=sha256:0\nhttpx==0.28.1\norjson==3.11.0\n"
GRAPHS = {
    "mod:graph": ("mod.py", "graph = 1\n", ""),
    "mod:build": ("mod.py", "def build():\n    import absent_package\n", ""),
    "mod:Graph": ("mod.py", "class Graph: ...\n", ""),
    "pkg.mod:graph": ("pkg/mod.py", "if True:\n    graph = 1\n", ""),
    "pkg:graph": ("pkg/__init__.py", "from .mod import graph\n", ""),
    "./flows/mod.py:graph": ("flows/mod.py", "from elsewhere import *\n", ""),
    "mod:absent": ("mod.py", "graph = 1\n", "mod.py defines no absent"),
    "other:graph": ("mod.py", "graph = 1\n", "no file for other"),
    "mod:broken": ("mod.py", "def graph(:\n", "SyntaxError"),
    "mod": ("mod.py", "", "expected 'module:attribute'"),
}


SERVICE = REPOSITORY / "docker/langgraph"


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service with the check of langgraph-api and a small lock."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copyfile(SERVICE / agents.CHECK, folder / agents.CHECK)
    return _write(folder, {"requirements.txt": LOCK, "requirements.in": "structlog>=26\n"})


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("point", GRAPHS)
def test_s4_an_entry_point_that_can_t_be_there_is_named(tmp_path: Path, point: str) -> None:
    """What the file of an entry point binds is known without running it; what may be bound another way passes."""
    name, text, reason = GRAPHS[point]
    _write(tmp_path, {name: text, "langgraph.json": f'{{"graphs": {{"flow": "{point}"}}}}'})

    [graph] = agents.examine(tmp_path, SERVICE).declared

    assert (graph.kind, graph.name, graph.state) == ("graph", "flow", "failed" if reason else "ready")
    assert reason in graph.reason


@pytest.mark.parametrize(
    ("name", "text"),
    [("agents.toml", "graphs = ["), ("langgraph.json", "{"), ("langgraph.json", "[]"), ("agents.toml", "graphs = 1"),
     ("roles.toml", "[roles")],
)  # fmt: skip
def test_s4_s7_a_file_that_can_t_be_read_is_named(tmp_path: Path, name: str, text: str) -> None:
    """A file of another form is a failure with its name, not a traceback."""
    _write(tmp_path, {name: text})

    assert {(each.name, each.state) for each in agents.examine(tmp_path, SERVICE).declared} == {(name, "failed")}


def test_s4_an_agents_toml_without_graphs_leaves_them_to_langgraph_json(tmp_path: Path) -> None:
    """As the service reads them: a file that only says whose versions win hides no graph."""
    _write(tmp_path, {"agents.toml": '[requirements]\nconflicts = "refuse"\n', "mod.py": "graph = 1\n"})
    _write(tmp_path, {"langgraph.json": '{"graphs": {"flow": "mod:graph"}}'})

    assert [each.name for each in agents.examine(tmp_path, SERVICE).declared] == ["flow"]


def test_s6_a_line_that_names_another_file_stops_the_build(tmp_path: Path, service: Path) -> None:
    """Only requirements.txt itself is there in a build."""
    _write(tmp_path, {"requirements.txt": "httpx\n-r base.txt\n"})

    [problem] = [each for each in agents.examine(tmp_path, service).problems if each.stops]

    assert problem.text == "requirements.txt, line 2: -r base.txt: only this one file is read"


def test_s7_declared_roles_are_listed(tmp_path: Path) -> None:
    """A role without what the team needs of it is named with what is missing."""
    _write(
        tmp_path,
        {"roles.toml": '[roles.one]\ndescription = "x"\nsystem_message = "y"\n[roles.two]\ndescription = "x"\n'},
    )

    one, two = agents.examine(tmp_path, SERVICE).declared

    assert (one.kind, one.name, one.state) == ("role", "one", "ready")
    assert (two.name, two.state, two.reason) == ("two", "failed", "system_message missing")


def test_s6_every_conflicting_requirement_is_named_at_once(tmp_path: Path, service: Path) -> None:
    """Both sides of each, its line, and who needs the service's; what agrees is no problem."""
    _write(tmp_path, {"requirements.txt": "structlog==24.4.0\nhttpx<0.28\norjson>=3\nother==1\n"})

    problems = agents.examine(tmp_path, service).problems

    wins = "the service's is installed"
    assert [problem.text for problem in problems if problem.kind == "requirements"] == [
        f"requirements.txt, line 1: structlog==24.4.0, and the service has 26.1.0 (needed by the service itself): {wins}",
        f"requirements.txt, line 2: httpx<0.28, and the service has 0.28.1 (needed by packages of the service): {wins}",
    ]
    assert not any(problem.stops for problem in problems)


def test_s6_conflicts_stop_the_build_where_the_folder_says_so(tmp_path: Path, service: Path) -> None:
    """`[requirements] conflicts = "refuse"`: other versions than the owner's are not to be run on."""
    _write(tmp_path, {"requirements.txt": "structlog==24.4.0\n"})
    _write(tmp_path, {"agents.toml": '[requirements]\nconflicts = "refuse"\n'})

    [problem] = [each for each in agents.examine(tmp_path, service).problems if each.stops]

    assert "structlog==24.4.0" in problem.text


def test_the_shipped_agents_have_no_problem() -> None:
    """What ships declares graphs that are there."""
    findings = agents.examine(REPOSITORY / "agents", SERVICE)

    assert findings.problems == []
    assert {each.state for each in findings.declared} == {"ready"}
