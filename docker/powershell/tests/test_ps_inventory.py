"""What /health says of the tree's modules: each by name, the critical ones decide, a slow one is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from psserver import DEADLINE, Service, running, write_module

GOOD = "function Get-Good { 'good' }; function Get-Better { 'better' }"
PARTS = ("kind", "state", "critical", "commands")


def inventory(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The entries by name."""
    return {entry["name"]: entry for entry in body["inventory"]}


def health_when(service: Service, fits: Callable[[dict[str, Any]], bool]) -> httpx.Response:
    """The first answer of /health whose body fits."""
    deadline = time.monotonic() + DEADLINE
    while not fits((answer := service.request("GET", "/health")).json()):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


def test_every_module_is_an_entry_and_the_critical_ones_decide(pwsh: str, tmp_path: Path) -> None:
    """Ready, failed and misplaced ones; patterns name critical ones; a name that the tree lacks is an entry too."""
    tree = tmp_path / "Modules"
    write_module(tree, "Good", GOOD)
    write_module(tree, "Goodbye", GOOD)
    write_module(tree, "Broken", "function {")
    (tree / "Loose.psm1").write_text(GOOD)
    with running(pwsh, tree, tmp_path, ["goo*", "Absent", "None*"]) as service:
        answer = health_when(service, lambda body: body["catalog"] == "complete")
    body = answer.json()
    entries = inventory(body)
    assert {name: tuple(entry[part] for part in PARTS) for name, entry in entries.items()} == {
        "Good": ("module", "ready", True, 2),
        "Goodbye": ("module", "ready", True, 2),
        "Broken": ("module", "failed", False, 0),
        "Loose": ("module", "failed", False, 0),
        "Absent": ("module", "failed", True, 0),
    }
    assert entries["Absent"]["reason"] == "not in the tree"
    assert entries["Broken"]["reason"].startswith("parse-error: Broken.psm1, line 1")
    assert entries["Loose"]["reason"].startswith("loose-file: ")
    assert (answer.status_code, body["status"]) == (503, "unhealthy")
    assert body["reason"] == "critical module Absent: not in the tree"
    assert [module["name"] for module in body["modules"]] == ["Good", "Goodbye", "Absent"]


@pytest.mark.parametrize(
    ("scripts", "status"),
    [({}, "healthy"), ({"Good": GOOD, "Broken": "function {"}, "healthy"), ({"Broken": "function {"}, "unhealthy")],
)
def test_without_critical_modules_any_module_will_do(
    pwsh: str, tmp_path: Path, scripts: dict[str, str], status: str
) -> None:
    """Healthy when one of the tree's modules is ready, or when there is none at all."""
    (tmp_path / "Modules").mkdir()
    for name, script in scripts.items():
        write_module(tmp_path / "Modules", name, script)
    with running(pwsh, tmp_path / "Modules", tmp_path, []) as service:
        body = health_when(service, lambda body: body["catalog"] == "complete").json()
    assert body["status"] == status
    assert (body["reason"] == "") == (status == "healthy")
    assert body["inventory"] or not scripts


def test_s5_a_slow_import_is_pending_and_becomes_ready(pwsh: str, tmp_path: Path) -> None:
    """Past the first limit it is imported again in the background, the others are served meanwhile; then it can be called."""
    tree = tmp_path / "Modules"
    gate = tmp_path / "gate"
    write_module(tree, "Good", GOOD)
    wait = f"while (-not [IO.File]::Exists('{gate}')) {{ [Threading.Thread]::Sleep(50) }}"
    write_module(tree, "Slow", f"{wait}\nfunction Get-Slow {{ 'slow' }}")
    limits = {"UC_IMPORT_TIMEOUT_SECONDS": 10, "UC_SLOW_IMPORT_TIMEOUT_SECONDS": 110}
    with running(pwsh, tree, tmp_path, ["Slow"], **limits) as service:
        body = service.request("GET", "/health").json()
        assert (body["status"], inventory(body)["Slow"]["state"]) == ("starting", "pending")
        assert "imported again" in inventory(body)["Slow"]["reason"]
        row = service.modules()["Slow"]
        assert (row["state"], row["kind"]) == ("pending", "timeout")
        early = service.invoke("Slow", "Get-Slow")
        assert (early.status_code, early.json()["error"], early.headers["retry-after"]) == (503, "starting", "1")
        assert service.result("Good", "Get-Good") == ["good"]
        gate.touch()
        assert health_when(service, lambda body: body["status"] == "healthy").status_code == 200
        assert service.result("Slow", "Get-Slow") == ["slow"]
        assert service.modules()["Slow"]["state"] == "importable"


def test_p1_an_import_that_would_end_the_process_is_not_made(pwsh: str, tmp_path: Path) -> None:
    """Read before it is imported: the module has failed with the line, the others are served."""
    tree = tmp_path / "Modules"
    write_module(tree, "Good", GOOD)
    write_module(tree, "Ending", "function Stop-It { [Environment]::Exit(1) }\n[Environment]::Exit(3)")
    write_module(tree, "Calm", "function Stop-It { [Environment]::Exit(1) }")
    with running(pwsh, tree, tmp_path, []) as service:
        rows = service.modules()
    assert {name: row["state"] for name, row in rows.items()} == {
        "Good": "importable",
        "Ending": "failed",
        "Calm": "importable",
    }
    assert rows["Ending"]["kind"] == "ends-process"
    assert "line 2" in rows["Ending"]["reason"]
