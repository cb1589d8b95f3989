"""/health lists what is declared and whether it works; what can't work makes the service unhealthy, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor_rig import Monitor, Rules, Start, eventually


def _entries(monitor: Monitor, kind: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in monitor.health()["inventory"] if entry["kind"] == kind}


def test_the_tree_and_each_trigger_are_listed(start: Start, rules: Rules, workspace: Path) -> None:
    """The watched tree with the number of its files, and the triggers in force, are ready."""
    for name in ("a", "b"):
        (workspace / name).write_text("x")
    monitor = start()

    assert monitor.health()["inventory"] == [
        {"kind": "watch", "name": str(workspace), "state": "ready", "reason": "", "critical": True, "count": 2},
        {"kind": "trigger", "name": "hook", "state": "ready", "reason": "", "critical": True},
    ]


def test_a_trigger_without_its_secret_is_a_failure_by_name(start: Start, home: Path) -> None:
    """The shipped trigger needs a key: without it /health is 503 and names trigger and secret, with it 200 again."""
    key = home / "secrets" / "langgraph_api_key"
    key.unlink()
    monitor = start(wait=False)
    eventually(lambda: monitor.answers(503) and "triage" in monitor.health()["reason"])

    entry = _entries(monitor, "trigger")["triage"]
    assert (entry["state"], entry["critical"]) == ("failed", True)
    assert "langgraph_api_key" in entry["reason"]
    assert monitor.get("/ready", token="").status_code == 503
    key.write_text("a-key\n")

    eventually(lambda: monitor.answers(200))


def test_the_triggers_of_a_refused_file_are_failures_by_name(start: Start, rules: Rules, home: Path) -> None:
    """A file that was never accepted is critical: the rules in force are not the ones that its owner wrote."""
    file = home / "config" / "triggers.toml"
    good = file.read_text()
    file.write_text(good.replace("debounce", "debounse"))
    monitor = start(wait=False)
    eventually(lambda: monitor.answers(503) and "debounse" in monitor.health()["reason"])

    entry = _entries(monitor, "trigger")["hook"]
    assert (entry["state"], entry["critical"]) == ("failed", True)
    assert entry["reason"] == f"{file}: line 7: unknown key 'debounse': perhaps you meant 'debounce'"
    assert _entries(monitor, "trigger")["triage"]["state"] == "ready"
    file.write_text("[[triggers")
    eventually(lambda: "triggers.toml" in _entries(monitor, "trigger"))
    file.write_text(good)

    eventually(lambda: monitor.answers(200))
    assert list(_entries(monitor, "trigger")) == ["hook"]


def test_a_refused_edit_is_listed_and_stops_nothing(start: Start, rules: Rules, home: Path) -> None:
    """While the file as it was is in force the refused edit is named, and the service is healthy."""
    file = home / "config" / "triggers.toml"
    monitor = start()
    file.write_text(file.read_text().replace('name = "hook"', 'name = "edited"\ncooldwon = 1'))

    entry = eventually(lambda: _entries(monitor, "trigger").get("edited"))

    assert (entry["state"], entry["critical"]) == ("failed", False)
    assert monitor.health()["status"] == "healthy"


def test_a_tree_that_is_away_is_a_failure_by_name(start: Start, rules: Rules, workspace: Path) -> None:
    """The watched folder is critical: while it can't be read /health is 503 and names it."""
    monitor = start(UC_RESCAN_SECONDS="0.5")
    workspace.rename(workspace.with_name("away"))

    eventually(lambda: monitor.answers(503))
    assert _entries(monitor, "watch")[str(workspace)]["state"] == "failed"
    assert str(workspace) in monitor.health()["reason"]
