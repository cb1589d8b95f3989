"""One word for one thing: states, the names of metrics, ports, critical modules."""

from __future__ import annotations

import ast
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

from build import console, diagnosis
from build.config import reference
from build.gates.verdict import GateVerdict
from build.release import catalog
from tests.support.project import REPOSITORY

PAGES = REPOSITORY / "docs/pages"
STATES = reference.sections((PAGES / "operating/states.md").read_text(encoding="utf-8"))
UPGRADE = reference.sections((PAGES / "renamed.md").read_text(encoding="utf-8"))
DOCKER = REPOSITORY / "docker"
MANIFEST = tomllib.loads((REPOSITORY / "versions.toml").read_text(encoding="utf-8"))
# folder → the first word of the service's name, with which its own metrics begin
PREFIXES = {Path(one["folder"]).name: name.split("-")[0] for name, one in MANIFEST["services"].items()}
SOURCES = {
    folder: [path for suffix in ("*.py", "*.mjs", "*.psm1") for path in (DOCKER / folder).rglob(suffix)]
    for folder in (*PREFIXES, "python")
}
COMMON = {"http_requests_total", "http_request_duration_seconds", "http_requests_in_flight"}
# A metric where it is defined: prometheus_client's call, the docs server's, the two of the PowerShell service.
_DEFINED = {
    ".py": re.compile(r'(Counter|Gauge|Histogram|Summary|Info)\(\s*"([a-z0-9_]+)"'),
    ".mjs": re.compile(r'family\(\s*"([a-z0-9_]+)",\s*"(counter|gauge|histogram)"'),
    ".psm1": re.compile(r"(?:Get-Family|, \()\s*'([a-z0-9_]+)',? '?(counter|gauge|histogram)'?"),
}
_SERIES = re.compile(r"`([a-z]+(?:_[a-z0-9]+)+)`")


def _metrics(folder: str) -> dict[str, str]:
    """The metrics that a service's sources define, as they are exposed, with their kinds."""
    names: dict[str, str] = {}
    for path in SOURCES[folder]:
        if "tests" in path.parts or "node_modules" in path.parts:
            continue
        for first, second in _DEFINED[path.suffix].findall(path.read_text(encoding="utf-8")):
            kind, name = (first.lower(), second) if path.suffix == ".py" else (second, first)
            counted = path.suffix == ".py" and kind == "counter" and not name.endswith("_total")
            names[f"{name}_total" if counted else name] = kind
    return names


def _words(literal: Any) -> set[str]:
    return set(typing.get_args(literal))


def _literals(path: str, name: str) -> set[str]:
    """The strings that a service's module assigns to a name."""
    tree = ast.parse((DOCKER / path).read_text(encoding="utf-8"))
    (value,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in node.targets)
    ]
    return {str(node.value) for node in ast.walk(value) if isinstance(node, ast.Constant)}


def _documented(heading: str) -> set[str]:
    return set(reference.rows(STATES[heading])) - {"Word", "State", "Health", "Endpoint", "Verdict", "What"}


def _work(what: str) -> set[str]:
    rows = reference.rows(STATES["Work"])
    (row,) = [row for name, row in rows.items() if name.startswith(what)]
    return set(re.findall(r"`([^`]+)`", row[1]))


def test_the_page_of_states_has_the_words_of_the_toolkit() -> None:
    """Marks, releases and verdicts are documented once, with exactly the words that the code has."""
    marks = {word: row[1] for word, row in reference.rows(STATES["Marks"]).items() if word != "Word"}

    assert marks == console._GLYPH
    assert set(marks) == _words(diagnosis.State)
    assert _documented("Releases") == _words(catalog.State)
    assert _documented("Gates") == _words(typing.get_type_hints(GateVerdict)["verdict"])


def test_the_page_of_states_has_the_words_of_the_services() -> None:
    """Chats, runs, threads, deliveries and modules are in the states that their services write."""
    assert _work("chats of autogen") == _literals("autogen/groupchat_service/store.py", "Status")
    assert _work("runs of langgraph") == _literals("langgraph/langgraph_service/shapes.py", "RunStatus")
    assert _work("threads of langgraph") == _literals("langgraph/langgraph_service/fields.py", "ThreadStatus")
    assert _work("deliveries of monitoring") == _literals("monitoring/monitor_service/api.py", "_STATUSES")
    described = (DOCKER / "powershell/server/openapi.json").read_text(encoding="utf-8")
    assert str(sorted(_work("modules of powershell"))).replace("'", '"') in {
        str(sorted(re.findall(r'"([^"]+)"', words))).replace("'", '"')
        for words in re.findall(r'"enum": \[([^]]*)\]', described)
    }


def test_no_other_page_explains_the_states_of_releases() -> None:
    """The words of states are explained in one place."""
    explained = [path.name for path in PAGES.rglob("*.md") if re.search(r"^\| `altered` \|", path.read_text(), re.M)]

    assert explained == ["states.md"]


@pytest.mark.parametrize("folder", PREFIXES)
def test_health_and_readiness_have_the_same_words_in_each_service(folder: str) -> None:
    """Each service's own sources write "healthy", "unhealthy", "ready" and "not ready", and no other form."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES[folder] if "tests" not in path.parts)

    assert {
        word for word in ("healthy", "unhealthy", "ready", "not ready") if not re.search(f"['\"]{word}['\"]", text)
    } == set()
    assert re.findall(r"not-ready|unready|[\"']?\bready[\"']?: (?:True|False|!|able|ready)", text) == []


@pytest.mark.parametrize("folder", PREFIXES)
def test_w3_a_metric_has_the_name_of_its_service_and_its_unit(folder: str) -> None:
    """A service's own metrics begin with the first word of its name; common ones with http_ or process_.

    Counters end with _total, others never do; what has a unit ends with it: _seconds, _bytes.
    """
    metrics = _metrics(folder)

    assert metrics
    assert [name for name in metrics if not name.startswith((f"{PREFIXES[folder]}_", "http_", "process_"))] == []
    assert [name for name, kind in metrics.items() if name.endswith("_total") != (kind == "counter")] == []
    assert [name for name, kind in metrics.items() if kind == "histogram" and not name.endswith("_seconds")] == []
    assert [name for name in metrics if re.search(r"_(ms|millis|sec|kb|mb|(bytes|seconds)_(?!total$).+)$", name)] == []


def test_every_service_has_the_common_metrics() -> None:
    """Requests, their time and those in flight have the same names in all services; the Python ones share the code."""
    missing = {
        folder: COMMON - {*_metrics(folder), *shared}
        for folder in PREFIXES
        if COMMON - {*_metrics(folder), *(shared := _metrics("python") if _observed(folder) else {})}
    }

    assert missing == {}


def _observed(folder: str) -> bool:
    """Whether a Python service has its requests counted by the shared code."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES[folder] if "tests" not in path.parts)
    return "HttpMetrics(" in text and "observer=" in text


def test_the_pages_name_only_metrics_that_there_are() -> None:
    """A series in the documentation is one that a service exposes; the table of old names has its new ones."""
    known = {name for folder in SOURCES for name in _metrics(folder)}
    rows = [row for name, row in reference.rows(UPGRADE["Metrics"]).items() if name != "Old"]
    renamed = {_SERIES.findall(row[1])[0] for row in rows}
    old = {_SERIES.findall(row[0])[0] for row in rows}
    prefixes = tuple({f"{prefix}_" for prefix in PREFIXES.values()} | {"http_re", "groupchat_", "filemonitor_"})
    named = {
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in (*PAGES.rglob("*.md"), *DOCKER.glob("*/README.md"))
        if path.name != "renamed.md"
        for name in _SERIES.findall(path.read_text(encoding="utf-8"))
        if name.startswith(prefixes) and name not in known and not name.endswith(_NOT_SERIES)
    }

    assert renamed - known == set()
    assert old & known == set()
    assert named == set()


_NOT_SERIES = ("_token", "_api_key", "_service", "_version")


def test_w3_critical_modules_are_named_once() -> None:
    """What is critical is the key `critical` of versions.toml: no file of a service names a shipped module as such."""
    service = MANIFEST["services"]["powershell-modules"]
    names = [path.name for path in (REPOSITORY / "Modules").iterdir() if path.is_dir()]
    shipped = [DOCKER / "compose.yaml", *(path for path in (DOCKER / "powershell").rglob("*") if path.is_file())]
    repeated = {
        str(path.relative_to(REPOSITORY))
        for path in shipped
        if "tests" not in path.parts
        and path.name != "openapi.json"  # has an example of a call
        and any(name in path.read_text(encoding="utf-8", errors="ignore") for name in names)
    }

    assert repeated == set()
    assert "critical" in service
    assert not any("CRITICAL" in key for table in ("args", "environment") for key in service.get(table, {}))
