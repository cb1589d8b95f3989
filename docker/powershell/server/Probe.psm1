# /health, /ready, /metrics and /openapi.json, answered by a runspace of their own: a full queue or five slow calls don't make the
# service look dead.

$script:Health = $null

function Test-Module([hashtable] $Shared, [string] $Name) {
    $row = if ($Shared.Catalog) { $Shared.Catalog.Modules[$Name] }
    $reason = if (-not $Shared.Catalog) { 'its import has not been tried yet' }
    elseif (-not $row) { 'it is not in the tree' }
    elseif ($row.State -ne 'importable') { "$($row.Kind): $($row.Reason)" }
    elseif ($row.Files | Where-Object { -not [IO.File]::Exists($_) }) { 'its file is gone' }
    $fact = [ordered]@{ name = $Name; available = -not $reason }
    if ($reason) { $fact.reason = $reason } else { $fact.version = $row.Version }
    $fact
}

function Test-Runspace {
    # A bare one: whether the engine can still open and use a runspace, whatever the modules do.
    try {
        $runspace = New-Runspace @()
        $call = Invoke-Timed $runspace 'Get-Variable' @{ Name = 'PID'; ValueOnly = $true } 2000
        $runspace.CloseAsync()
        $call.State -eq 'done' -and $call.Output -eq $PID
    } catch {
        $false
    }
}

function Get-Health([hashtable] $Shared) {
    $now = [Environment]::TickCount64
    $fresh = $script:Health -and $now - $script:Health.At -lt 1000 * $Shared.Settings.HealthSeconds
    # A bad verdict is cheap to doubt: it is asked again after a quarter of a second, so a service that gets ready is seen at once.
    if ($fresh -and ($script:Health.Status -eq 200 -or $now - $script:Health.At -lt 250)) { return $script:Health }
    $modules = @($Shared.Settings.Critical | ForEach-Object { Test-Module $Shared $_ })
    $stuck = Get-StuckCount $Shared
    $runspace = Test-Runspace
    $healthy = $runspace -and $stuck -lt $Shared.Settings.StuckLimit -and -not ($modules | Where-Object { -not $_.available })
    $body = [ordered]@{
        status = if ($healthy) { 'healthy' } else { 'unhealthy' }
        modules = $modules; runspace = @{ ok = $runspace }; stuck_calls = $stuck
        catalog = if ($Shared.Catalog.Complete) { 'complete' } else { 'in progress' }
    }
    $script:Health = @{ At = $now; Status = $(if ($healthy) { 200 } else { 503 }); Body = $body }
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
