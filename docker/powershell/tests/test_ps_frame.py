"""What lies between two calls in one runspace, and what a result costs: asked of the service's modules themselves."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from psserver import START, write_module
from pstrees import PROBE, PROBE_EXPORTS

FRAME = """
$ErrorActionPreference = 'Stop'
Import-Module '{server}/Runspaces.psm1' -DisableNameChecking
$settings = @{{ Workspace = '{place}'; ImportSeconds = 60; CallStack = 1MB }}
$session = (New-ModuleSession $settings @('{place}/Probe/Probe.psd1')).Session
function Invoke-Probe([string] $Command) {{
    $call = @{{ Module = 'Probe'; Command = $Command; Owner = 'Probe'; Parameters = @{{}}; ResultBytes = 1MB; ResultDepth = 6 }}
    $called = Invoke-Timed $session 'Invoke-UcCommand' @{{ Call = $call }} 60000
    if (-not $called.Output.Restored) {{ $null = Invoke-Timed $session 'Restore-UcFrame' @{{}} 60000 'variable:' }}
    $called.Output
}}
function Get-Listing {{
    $shell = [powershell]::Create()
    $shell.Runspace = $session.Runspace
    $listing = $shell.AddCommand('Get-ChildItem').AddParameter('Path', 'variable:').Invoke()
    @($listing.Name | Where-Object {{ $_ -notin 'StackTrace', 'LASTEXITCODE', 'Matches' }})
}}
$before = Get-Listing
$calls = foreach ($command in 'Get-Leaks', 'Set-Leaks', 'Get-Leaks', 'Remove-Leaks', 'Get-Leaks') {{ Invoke-Probe $command }}
[Console]::Out.WriteLine((ConvertTo-Json -Depth 3 -Compress @{{
    results = @($calls.Json); restored = @($calls.Restored); errors = @($calls | ForEach-Object {{ $_.Errors }}); same = "$before" -ceq "$(Get-Listing)" }}))
[Environment]::Exit(0)
"""

COST = """
Import-Module '{place}/Envelope.psm1'
$records = @(foreach ($n in 1..500) {{ [pscustomobject] @{{ file = "Assets/f$n.cs"; line = $n; column = 3; severity = 'error'; code = 'CS0103'; text = 'x' }} }})
$global:calls = 0
$one = New-UcEnvelope 64MB 6
foreach ($record in $records) {{ Add-UcResult $one $record }}
$null = Close-UcEnvelope $one
[Console]::Out.WriteLine((ConvertTo-Json -Compress @{{ calls = $global:calls; values = $one.Values }}))
[Environment]::Exit(0)
"""


LOGGED = """
Import-Module '{server}/Runspaces.psm1' -DisableNameChecking
$field = [psobject].Assembly.GetType('System.Management.Automation.MshLog').GetField('s_logProviders', [Reflection.BindingFlags] 'Static, NonPublic')
function Get-Writers {{ ($field.GetValue($null).Values | Measure-Object -Property Count -Sum).Sum }}
$before = Get-Writers
Stop-EngineLog
$session = New-Session @()
$null = Invoke-Timed $session 'Get-Date' @{{}} 60000
[Console]::Out.WriteLine((ConvertTo-Json -Compress @{{ before = $before; after = Get-Writers }}))
[Environment]::Exit(0)
"""


def ask(pwsh: str, script: str, place: Path) -> dict[str, Any]:
    """The JSON that a script prints which uses the service's modules."""
    file = place / "ask.ps1"
    file.write_text(script.format(server=START.parent, place=place))
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(file)]
    environment = os.environ | {"HOME": str(place), "POWERSHELL_TELEMETRY_OPTOUT": "1", "POWERSHELL_UPDATECHECK": "Off"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=240)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("engine", ["with its table", "without"])
def test_globals_are_put_back_with_and_without_the_engines_table(pwsh: str, tmp_path: Path, engine: str) -> None:
    """A call puts them back itself, seeing the engine's own table; where there is none, a listing does it after the call, as well."""
    probe = (
        PROBE
        + "function Remove-Leaks { Remove-Variable -Scope Global -Name PSEmailServer; $global:WhatIfPreference = $true; $global:New = 1 }\n"
    )
    write_module(tmp_path, "Probe", probe, manifest=PROBE_EXPORTS.replace("'Get-Leaks'", "'Get-Leaks','Remove-Leaks'"))
    script = FRAME
    if engine == "without":
        (server := tmp_path / "server").mkdir()
        for file in START.parent.glob("*.psm1"):
            (server / file.name).write_text(file.read_text().replace("'GlobalScope'", "'NoSuchScope'"))
        script = FRAME.replace("{server}", str(server))
    told = ask(pwsh, script, tmp_path)
    clean = json.dumps([f"|Continue|{tmp_path.name}"], separators=(",", ":"))
    assert told["errors"] == []
    assert told["results"] == [clean, "[]", clean, "[]", clean]
    assert told["restored"] == [engine == "with its table"] * 5
    assert told["same"] is True


def test_a_value_of_a_common_type_costs_no_call_of_a_function(pwsh: str, tmp_path: Path) -> None:
    """Calls are what costs in PowerShell: 500 records of six values take two for each record, and a few for their types."""
    script = (START.parent / "Envelope.psm1").read_text()
    counting, functions = re.subn(r"^function .*{$", r"\g<0>\n    $global:calls++", script, flags=re.MULTILINE)
    assert functions == script.count("\nfunction ")
    (tmp_path / "Envelope.psm1").write_text(counting)
    told = ask(pwsh, COST, tmp_path)
    assert told["values"] == 500 * 7
    assert 500 * 2 <= told["calls"] < 500 * 2 + 20


def test_the_engine_puts_no_events_together_for_a_system_log(pwsh: str, tmp_path: Path) -> None:
    """It would do so for each command that begins or ends; an engine that keeps its writers elsewhere shows here."""
    assert ask(pwsh, LOGGED, tmp_path) == {"before": 1, "after": 0}
