"""What a result costs in the PowerShell service, measured in its image: there, calls of functions are what costs."""

from __future__ import annotations

import json

from build.config.manifest import Manifest
from build.engine import client as docker
from build.images import store
from tests.bench.timing import Rows, milliseconds

# 500 records of six values each, against as many calls of a function that does nothing; the least of several times.
_SCRIPT = """
$null = Import-Module /app/Envelope.psm1 -PassThru
$records = @(foreach ($n in 1..500) {
    [pscustomobject] @{ file = "Assets/f$n.cs"; line = $n; column = 3; severity = 'error'; code = 'CS0103'; text = 'x' }
})
function Get-Nothing([hashtable] $First, [object] $Second) { }
$table = @{}
$calls = { foreach ($n in 1..3000) { Get-Nothing $table $n } }
$envelope = {
    $one = New-UcEnvelope 64MB 6
    foreach ($record in $records) { Add-UcResult $one $record }
    $null = Close-UcEnvelope $one
}
function Get-Least([scriptblock] $Work) {
    (1..ROUNDS | ForEach-Object { (Measure-Command $Work).TotalSeconds } | Measure-Object -Minimum).Minimum
}
ConvertTo-Json -Compress @{ calls = Get-Least $calls; envelope = Get-Least $envelope }
"""


def bench_envelope(manifest: Manifest, rounds: int) -> Rows:
    """A result of 3,000 values as JSON, compared with 3,000 calls of a function."""
    image = store.recorded(manifest)["powershell-modules"].reference
    script = _SCRIPT.replace("ROUNDS", str(max(rounds, 7)))
    ran = docker.cli("run", "--rm", "--entrypoint", "pwsh", image, "-NoProfile", "-NonInteractive", "-Command", script)
    took = json.loads(ran.stdout)
    ours, peer = took["envelope"], took["calls"]
    figures = (milliseconds(ours), milliseconds(peer), f"{ours / peer:.2f}", "<= 2")
    return [("a PowerShell result of 3,000 values", "3,000 calls of a function", *figures)]
