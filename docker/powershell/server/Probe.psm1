# /health, /ready, /metrics and /openapi.json, answered by a runspace of their own: a full queue or five slow calls don't make the
# service look dead.

$script:Health = $null

function Get-Inventory([hashtable] $Shared) {
    # The survey's own, but for critical modules whose files have gone since: a mounted tree can change.
    foreach ($entry in @($Shared.Inventory)) {
        $files = if ($entry.critical -and $entry.state -eq 'ready' -and $Shared.Catalog) { $Shared.Catalog.Modules[$entry.name].Files }
        if ($files | Where-Object { -not [IO.File]::Exists($_) }) {
            [ordered]@{ kind = 'module'; name = $entry.name; state = 'failed'; reason = 'its file is gone'; critical = $true; commands = $entry.commands }
        } else { $entry }
    }
}

function Get-CriticalModule([hashtable] $Shared, [Collections.IDictionary] $Entry) {
    $fact = [ordered]@{ name = $Entry.name; available = $Entry.state -eq 'ready' }
    $row = if ($Shared.Catalog) { $Shared.Catalog.Modules[$Entry.name] }
    if ($fact.available) { $fact.version = "$($row.Version)" } else { $fact.reason = if ($Entry.reason) { $Entry.reason } else { 'its import has not been tried yet' } }
    $fact
}

function Get-ModuleVerdict([object[]] $Inventory, [bool] $Surveyed) {
    # @{ Status; Reason } by the modules alone: each critical one, or, when none is named, any.
    $critical = @($Inventory | Where-Object { $_.critical })
    $failed = @($critical | Where-Object { $_.state -eq 'failed' })
    if ($failed) { return @{ Status = 'unhealthy'; Reason = "critical module $($failed[0].name): $($failed[0].reason)" } }
    $pending = @($critical | Where-Object { $_.state -eq 'pending' })
    if ($pending) { return @{ Status = 'starting'; Reason = "critical module $($pending[0].name) is still being imported" } }
    if (-not $Surveyed) { return @{ Status = 'starting'; Reason = 'the tree has not been read yet' } }
    if ($critical -or -not $Inventory -or ($Inventory | Where-Object { $_.state -eq 'ready' })) { return @{ Status = 'healthy' } }
    if ($Inventory | Where-Object { $_.state -eq 'pending' }) { return @{ Status = 'starting'; Reason = 'no module has been imported yet' } }
    @{ Status = 'unhealthy'; Reason = "none of the tree's $(@($Inventory).Count) modules can be imported" }
}

function Test-Runspace {
    # A bare one: whether the engine can still open and use a runspace, whatever the modules do.
    try {
        $session = New-Session @()
        $call = Invoke-Timed $session 'Get-Variable' @{ Name = 'PID'; ValueOnly = $true } 2000
        Close-Session $session -Stuck:($call.State -eq 'stuck')
        $call.State -eq 'done' -and $call.Output -eq $PID
    } catch {
        $false
    }
}

function Get-Health([hashtable] $Shared) {
    $now = [Environment]::TickCount64
    $fresh = $script:Health -and $now - $script:Health.At -lt 1000 * $Shared.Settings.HealthSeconds
    # A bad verdict is cheap to doubt: it is asked again after a quarter of a second, so a service that gets ready is seen at once.
    if ($fresh -and -not $Shared.Short -and ($script:Health.Status -eq 200 -or $now - $script:Health.At -lt 250)) { return $script:Health }
    $inventory = @(Get-Inventory $Shared)
    $stuck = Get-StuckCount $Shared
    $runspace = Test-Runspace
    $verdict = Get-ModuleVerdict $inventory ([bool] $Shared.Surveyed)
    $trouble = if (-not $runspace) { 'no runspace can be opened' } elseif ($Shared.Short) { $Shared.Short }
    elseif ($stuck -ge $Shared.Settings.StuckLimit) { "$stuck calls are stuck" }
    if ($trouble) { $verdict = @{ Status = 'unhealthy'; Reason = $trouble } }
    $body = [ordered]@{
        status = $verdict.Status; reason = "$($verdict.Reason)"
        modules = @($inventory | Where-Object { $_.critical } | ForEach-Object { Get-CriticalModule $Shared $_ })
        inventory = $inventory; runspace = @{ ok = $runspace }; stuck_calls = $stuck
        catalog = if ($Shared.Catalog.Complete) { 'complete' } else { 'in progress' }
    }
    $script:Health = @{ At = $now; Status = $(if ($verdict.Status -eq 'healthy') { 200 } else { 503 }); Body = $body }
    $script:Health
}

function Get-Unreadiness([hashtable] $Shared) {
    if ($Shared.Stop.IsSet) { return 'the service is stopping' }
    if (-not $Shared.Catalog.Complete) { return 'the modules are still being imported' }
    $trouble = Get-TokenTrouble $Shared.Settings.TokenFile
    if ($trouble) { return $trouble }
    if ($Shared.Queue.Count -ge $Shared.Settings.Queue) { return 'the queue is full' }
}

function Invoke-Probe([hashtable] $Shared, [hashtable] $Job) {
    <#
    .SYNOPSIS
        Answer one probe.
    #>
    $Job.Route = $Job.Path
    if ($Job.Context.Request.HttpMethod -ne 'GET') {
        $Job.Context.Response.Headers['Allow'] = 'GET'
        return Send-Refusal $Job 405 'method-not-allowed' 'probes are read with GET' -Last
    }
    switch ($Job.Path) {
        '/health' { $health = Get-Health $Shared; Send-Json $Job $health.Status $health.Body }
        '/ready' {
            $reason = Get-Unreadiness $Shared
            if ($reason) { Send-Json $Job 503 ([ordered]@{ status = 'not ready'; reason = $reason }) }
            else { Send-Json $Job 200 @{ status = 'ready' } }
        }
        '/openapi.json' { Send-Answer $Job 200 ([IO.File]::ReadAllBytes("$PSScriptRoot/openapi.json")) 'application/json' }
        '/metrics' {
            $bytes = [Text.Encoding]::UTF8.GetBytes((Get-MetricsText $Shared))
            Send-Answer $Job 200 $bytes 'text/plain; version=0.0.4; charset=utf-8'
        }
    }
}

Export-ModuleMember -Function Invoke-Probe
