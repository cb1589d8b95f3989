"""A user's own rough tree: what can't be imported is told by kind and reason, and stops nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psserver import CHECK, Service, running, write_module
from pstrees import write_rough_tree


@pytest.fixture(scope="module")
def rough(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on the rough tree, which is read-only. The import limit is high: an unknown command searches every module."""
    folder = tmp_path_factory.mktemp("rough")
    tree = folder / "Modules"
    write_rough_tree(tree)
    for path in [*(path for path in tree.rglob("*") if not path.is_symlink()), tree]:
        path.chmod(path.stat().st_mode & ~0o222)
    with running(pwsh, tree, folder, ["Good", "Broken"], UC_IMPORT_TIMEOUT_SECONDS=110) as service:
        yield service
    for path in [tree, *(path for path in tree.rglob("*") if not path.is_symlink())]:
        path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.parametrize(
    ("name", "state", "kind", "reason"),
    [
        ("Windows", "failed", "windows-only-assembly", "System.Windows.Forms"),
        ("Forms", "failed", "windows-only-assembly", "PresentationFramework"),
        ("Needy", "failed", "missing-required-module", "Nowhere"),
        ("Broken", "failed", "parse-error", "Missing closing '}'"),
        ("Garbled", "failed", "parse-error", "Missing closing ')'"),
        ("Homeless", "failed", "null-environment", "UC_NOT_SET"),
        ("Rootless", "failed", "missing-root-module", "Gone.psm1"),
        ("Thrower", "failed", "other", "no luck today"),
        ("Other", "not-discoverable", "name-mismatch", "Mismatch"),
        ("lower", "not-discoverable", "name-case", "case"),
        ("Inner", "not-discoverable", "nested", "Good"),
        ("Loose", "not-discoverable", "loose-file", "root of the tree"),
        ("Command", "failed", "windows-only-command", "Get-CimInstance"),
        ("Registry", "failed", "windows-only-assembly", "only Windows"),
        ("Net", "failed", "windows-only-assembly", "System.Windows.Forms"),
        ("Lib", "failed", "missing-assembly", "Nowhere.Library"),
        ("Program", "failed", "missing-command", "Get-NoSuchCommand"),
        ("Future", "failed", "powershell-version", "99.0"),
        ("Using", "failed", "missing-required-module", "Nowhere"),
        ("Case", "failed", "name-case", "the file is called 'Case.psm1'"),
        ("Deep", "not-discoverable", "nested", "below Group"),
        ("Short", "not-discoverable", "name-mismatch", "Oneline"),
    ],
)
def test_a_broken_module_has_a_kind_and_a_reason(rough: Service, name: str, state: str, kind: str, reason: str) -> None:
    """The kind is what a person can act on, the reason names the thing; calling it is 403 with the same."""
    row = rough.modules()[name]
    assert (row["state"], row["kind"]) == (state, kind)
    assert reason in row["reason"]
    assert rough.invoke(name, "Get-Good").status_code == 403


@pytest.mark.parametrize(
    ("name", "command", "result"),
    [
        ("Good", "Get-Good", "good"),
        ("Bare", "Get-Bare", "bare"),
        ("Front", "Get-Part", "part"),
        ("Zealot", "Get-Zeal", "zeal"),
        ("Writer", "Get-Written", "tried"),
        ("UsingGood", "Get-Using", "using"),
        ("Twice", "Get-Twice", "2.0.0"),
        ("Suite", "Get-Suite", "Suite: component"),
        ("Suite", "Get-Component", "component"),
        ("Suite2", "Get-Suite2", "Suite2: component"),
        ("Suite2", "Get-Component", "component"),
    ],
)
def test_the_rest_of_a_rough_tree_works(rough: Service, name: str, command: str, result: str) -> None:
    """Also what another import unloads, what another module owns, and what can't write beside itself."""
    assert rough.modules()[name]["state"] == "importable"
    assert rough.result(name, command) == [result]


def test_an_import_that_hangs_is_given_up(pwsh: str, tmp_path: Path) -> None:
    """It is reported as a timeout; the modules before and after it are served, with what their imports had brought."""
    tree = tmp_path / "Modules"
    write_module(tree, "Component", "function Get-Component { 'component' }", folder="Early")
    load = "Import-Module $PSScriptRoot/Component.psm1 -Force -Global"
    exports = "RootModule = 'Early.psm1'; FunctionsToExport = @('Get-Early', 'Get-Component')"
    write_module(tree, "Early", f"{load}\nfunction Get-Early {{ 'early' }}", manifest=exports)
    write_module(tree, "Hanging", "[Threading.Thread]::Sleep(3600000)")
    write_module(tree, "Late", "function Get-Late { 'late' }")
    limits = {"UC_IMPORT_TIMEOUT_SECONDS": 20, "UC_SLOW_IMPORT_TIMEOUT_SECONDS": 1}
    with running(pwsh, tree, tmp_path, [], **limits) as service:
        assert service.event("module_late", module="Hanging", state="failed")["level"] == "warning"
        row = service.modules()["Hanging"]
        assert (row["state"], row["kind"]) == ("failed", "timeout")
        assert "within 1 s" in row["reason"]
        assert service.invoke("Hanging", "Get-Good").status_code == 403
        for module, name in (("Early", "Early"), ("Early", "Component"), ("Late", "Late")):
            assert service.result(module, f"Get-{name}") == [name.lower()]


def test_a_command_names_the_module_that_owns_it(rough: Service) -> None:
    """Declared by one, defined by another: both are told."""
    assert rough.modules()["Front"]["commands"][0]["owner"] == "Part"


def test_every_manifest_is_listed_once(rough: Service) -> None:
    """Importable, failed or not discoverable: whatever looks like a module is told of, through no link a second time."""
    tree = rough.folder / "Modules"
    listed = [row["path"] for row in rough.request("GET", "/modules").json()["modules"]]
    assert len(listed) == len(set(listed))
    assert {str(path) for path in tree.rglob("*.psd1")} <= set(listed)
    assert not any("/circle/" in path for path in listed)
    (older,) = (row for row in rough.request("GET", "/modules").json()["modules"] if row["kind"] == "other-version")
    assert (older["name"], older["reason"]) == ("Twice", "the engine takes 2.0.0/Twice.psd1")


def test_the_build_and_the_service_tell_the_same(rough: Service, pwsh: str) -> None:
    """What the reader refuses fails here, of the same kind; what it passes is imported, but for what only running tells."""
    report = rough.folder / "report.json"
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(CHECK), "-Modules", str(rough.folder / "Modules")]
    command += ["-Required", str(rough.folder / "required"), "-Report", str(report)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    rows = rough.request("GET", "/modules").json()["modules"]
    served = {row["path"].removeprefix(str(rough.folder / "Modules") + "/"): row for row in rows}
    read = {row["path"]: row for row in json.loads(report.read_text())["modules"]}
    assert served.keys() == read.keys()
    refused = {path: row["findings"][0]["kind"] for path, row in read.items() if row["verdict"] != "ok"}
    assert {path: served[path]["kind"] for path in refused} == refused
    surprises = {served[path]["name"] for path in read.keys() - refused.keys() if served[path]["state"] == "failed"}
    assert surprises == {"Homeless", "Thrower", "Command", "Registry", "Program"}


def test_the_tree_is_left_as_it_was(rough: Service) -> None:
    """Imports may try to write; a read-only tree stays as it is."""
    tree = rough.folder / "Modules"
    assert not (tree / "written").exists()


def test_a_critical_module_that_fails_makes_the_service_unhealthy(rough: Service) -> None:
    """503 with the module's name and reason, while its other modules are still served."""
    answer = rough.request("GET", "/health")
    assert answer.status_code == 503
    modules = {module["name"]: module for module in answer.json()["modules"]}
    broken = modules["Broken"]
    assert (modules["Good"]["available"], broken["available"]) == (True, False)
    assert answer.json()["reason"].startswith("critical module Broken: parse-error: ")
    assert "parse-error" in broken["reason"]


def test_the_services_own_commands_are_the_engines(pwsh: str, tmp_path: Path) -> None:
    """They are loaded when a runspace is opened: a module path that was changed since can't put another module's in their place."""
    tree, others = tmp_path / "Modules", tmp_path / "others"
    write_module(tree, "Astray", f"$env:PSModulePath = '{others}'\nfunction Get-Path {{ $env:PSModulePath }}")
    write_module(
        others,
        "Json",
        "function ConvertTo-Json { throw 'not the one' }",
        manifest="RootModule = 'Json.psm1'; FunctionsToExport = 'ConvertTo-Json'",
    )
    with running(pwsh, tree, tmp_path, ["Astray"]) as service:
        assert service.result("Astray", "Get-Path") == [str(others)]
        assert [service.invoke("Absent", "Get-Path").status_code for _ in range(8)] == [403] * 8
        assert service.events("request_failed") == []
