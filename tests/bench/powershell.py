"""The PowerShell service's results beside bare function calls, measured in its image."""

from __future__ import annotations

import json

from build.config.manifest import Manifest
from build.engine import client as docker
from build.images import store
from tests.bench.timing import Rows, medians, milliseconds

# 500 records of six values, and as many calls of a function that does nothing, in turns; the first turn warms up.
_SCRIPT = """
Import-Module /app/Envelope.psm1
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
$taken = foreach ($round in 0..ROUNDS) {
    , @((Measure-Command $envelope).TotalSeconds, (Measure-Command $calls).TotalSeconds)
}
ConvertTo-Json -Compress $taken
"""


def bench_envelope(manifest: Manifest, rounds: int) -> Rows:
    """A result of 3,000 values as JSON, compared with 3,000 calls of a function."""
    image = store.recorded(manifest)["powershell-modules"].reference
    script = _SCRIPT.replace("ROUNDS", str(max(rounds, 7)))
    ran = docker.cli("run", "--rm", "--entrypoint", "pwsh", image, "-NoProfile", "-NonInteractive", "-Command", script)
    a, b, ratio = medians(json.loads(ran.stdout)[1:])
    figures = (milliseconds(a), milliseconds(b), f"{ratio:.2f}", "<= 2")
    return [("a PowerShell result of 3,000 values", "3,000 calls of a function", *figures)]
