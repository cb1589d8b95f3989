# A persistent worker: it takes requests from the bounded queue, and owns one runspace with the user's modules, in which calls run
# under a time limit. Nothing of the user's ever runs in the worker's own runspace, so a call can't hold the worker.

$script:Modules = $null
$script:Prepared = @{}
# What the accepting thread sees of this worker's call: since when (0: none), its name, and Halt to stop it when memory is short.
$script:Own = @{ Since = [long] 0; Call = ''; Halt = $null }

function Get-ModuleSession([hashtable] $Shared, [string] $RequestId) {
    if (-not $script:Modules) {
        $made = New-ModuleSession $Shared.Settings $Shared.Catalog.Critical
        foreach ($path in $made.Failed.Keys) {
            Write-Log $Shared.Log warning 'critical_import_failed' ([ordered]@{ request_id = $RequestId; path = $path; reason = $made.Failed[$path] })
        }
        $script:Modules = $made.Session
        $script:Prepared = @{}
    }
    $script:Modules
}

function Remove-ModuleSession([hashtable] $Counters, [hashtable] $Outcome) {
    # A stuck call is counted until it ends after all.
    if ($Outcome.State -eq 'stuck') { $Counters.Stuck.Add($Outcome.Async) }
    Close-Session $script:Modules -Stuck:($Outcome.State -eq 'stuck')
    $Counters.Replaced += 1
    $script:Modules = $null
}

function Clear-Call([hashtable] $Shared, [hashtable] $Counters, [hashtable] $Outcome, [string] $RequestId) {
    # After the answer, so that nobody waits for it, what the call did not put back itself: it left the session with exit, failed as a whole,
    # or its runspace has to go.
    if ($Outcome.Output.Restored) { return }
    if ($Outcome.State -notin 'stopped', 'stuck') { $Outcome = Invoke-Timed $script:Modules 'Restore-UcFrame' @{} 5000 'variable:' }
    if ($Outcome.State -eq 'done') { return }
    Remove-ModuleSession $Counters $Outcome
    $stuck = Get-StuckCount $Shared
    Write-Log $Shared.Log warning 'runspace_replaced' ([ordered]@{ request_id = $RequestId; call = $Outcome.State; stuck_calls = $stuck })
    if ($stuck -ge $Shared.Settings.StuckLimit -and -not $Shared.Stop.IsSet) {
        # Each holds a thread and memory that only the process's end gives back, and nothing restarts what is merely unhealthy.
        Write-Log $Shared.Log error 'too_many_stuck' ([ordered]@{ request_id = $RequestId; stuck_calls = $stuck; limit = $Shared.Settings.StuckLimit })
        $Shared.Failed = $true
        $Shared.Stop.Set()
    }
    if (-not $Shared.Stop.IsSet) { $null = Get-ModuleSession $Shared $RequestId }
}

function Send-Outcome([hashtable] $Shared, [hashtable] $Job, [hashtable] $Call, [hashtable] $Outcome, [double] $Milliseconds) {
    # Answer, and say in one word what happened.
    $output = $Outcome.Output
    if ($Outcome.State -in 'stopped', 'stuck') {
        $fate = if ($Outcome.State -eq 'stopped') { 'stopped' } else { 'left behind' }
        if ($Shared.Cut.IsCancellationRequested) {
            Send-Refusal $Job 503 'stopping' "the service is stopping; $($Call.Command) did not end by itself and was $fate" -Last
            return 'cut'
        }
        if ($script:Own.Halt.IsCancellationRequested) {
            $output = @{ Json = '[]'; Errors = @("$($Call.Command) was ${fate}: the service ran short of memory"); Warnings = @(); Truncated = $true }
            Send-Answer $Job 200 (ConvertTo-Answer $output $Milliseconds) 'application/json'
            return 'halted'
        }
        Send-Refusal $Job 504 'timeout' "$($Call.Command) did not end in time and was $fate"
        return 'timeout'
    }
    if ($Outcome.State -eq 'failed' -or -not $output) {
        $why = if ($Outcome.State -eq 'failed') { $Outcome.Reason } else { 'it left the session with exit' }
        $output = @{ Outcome = 'done'; Json = '[]'; Errors = @("$($Call.Command) returned nothing: $why"); Warnings = @(); Truncated = $false }
    }
    if ($output.Outcome -eq 'lost') {
        Send-Refusal $Job 500 'command-lost' "$($Call.Command) could not be found again after importing its module"
        return 'lost'
    }
    if ($output.Outcome -eq 'bad-parameters') {
        Send-Refusal $Job 400 'bad-parameter' "$($output.Errors[-1])"
        return 'bad-parameters'
    }
    Send-Answer $Job 200 (ConvertTo-Answer $output $Milliseconds) 'application/json'
    if ($output.Errors.Count) { 'errors' } else { 'ok' }
}

function Invoke-Prepared([hashtable] $Shared, [hashtable] $Call, [string] $RequestId) {
    # The first call of a command in a session may have to import its module; globals that the import makes are there to stay.
    $session = Get-ModuleSession $Shared $RequestId
    $own = $script:Own
    if (-not $own.Halt -or $own.Halt.IsCancellationRequested) { $own.Halt = [Threading.CancellationTokenSource]::CreateLinkedTokenSource($Shared.Cut.Token) }
    $key = "$($Call.Module)\$($Call.Command)"
    $own.Call = $key
    $own.Since = [Environment]::TickCount64
    $cut = $own.Halt.Token
    $limit = 1000 * $Shared.Settings.CallSeconds
    try {
        # Twice: a call in between may have unloaded the module.
        foreach ($try in 1, 2) {
            if (-not $script:Prepared[$key]) {
                $found = Invoke-Timed $session 'Import-UcCall' @{ Call = $Call } (1000 * $Call.ImportSeconds) -Cut $cut -Wide
                if ($found.State -ne 'done' -or $found.Output.Outcome -ne 'found') { return $found }
                $null = Invoke-Timed $session 'Save-UcFrame' @{} $limit 'variable:'
                $script:Prepared[$key] = $true
            }
            $outcome = Invoke-Timed $session 'Invoke-UcCommand' @{ Call = $Call } $limit -Cut $cut
            if ($outcome.State -ne 'done' -or $outcome.Output.Outcome -ne 'lost') { break }
            $script:Prepared.Remove($key)
        }
        $outcome
    } finally {
        $own.Since = [long] 0
    }
}

function Invoke-Call([hashtable] $Shared, [hashtable] $Counters, [hashtable] $Job) {
    $body = Read-Body $Job $Shared.Settings.BodyBytes $Shared.Settings.BodySeconds $Shared.Cut.Token
    if ($body.Status -eq 400) { return Send-Refusal $Job 400 'bad-body' 'the body broke off' -Last }
    if ($body.Status -eq 503) { return Send-Refusal $Job 503 'stopping' 'the service is stopping' -Last }
    if ($body.Status -eq 413) { return Send-Refusal $Job 413 'too-large' "the body is larger than $($Shared.Settings.BodyBytes) bytes" -Last }
    if ($body.Status -eq 408) { return Send-Refusal $Job 408 'body-timeout' 'the body did not arrive in time' -Last }
    $call = New-Call $Shared $body.Bytes
    if ($call.Refused) { return Send-Refusal $Job $call.Status $call.Code $call.Detail }
    $started = [Diagnostics.Stopwatch]::GetTimestamp()
    $outcome = Invoke-Prepared $Shared $call $Job.Id
    $elapsed = [Diagnostics.Stopwatch]::GetElapsedTime($started).TotalMilliseconds
    $Job.Call = "$($call.Module)\$($call.Command)"
    $word = Send-Outcome $Shared $Job $call $outcome $elapsed
    $Job.Outcome = $word
    Add-Call $Counters $call.Module $call.Command $word
    Clear-Call $Shared $Counters $outcome $Job.Id
}

function Get-CommandList([hashtable] $Row) {
    [ordered]@{
        module = $Row.Name
        commands = @(foreach ($command in $Row.Commands.Values) {
            $parameters = @(foreach ($name in $command.Parameters.Keys) { [ordered]@{ name = $name } + $command.Parameters[$name] })
            [ordered]@{ name = $command.Name; owner = $command.Owner; synopsis = $command.Synopsis; parameters = $parameters }
        })
    }
}

function Send-Modules([hashtable] $Shared, [hashtable] $Job) {
    if (-not $Shared.Catalog.Complete) { return Send-Refusal $Job 503 'starting' 'the modules are still being imported' }
    if ($Job.Route -eq '/modules') { return Send-Answer $Job 200 $Shared.Catalog.Json 'application/json' }
    $name = [uri]::UnescapeDataString($Job.Path.Split('/')[2])
    $row = $Shared.Catalog.Modules[$name]
    if ($row) { Send-Json $Job 200 (Get-CommandList $row) } else { Send-Refusal $Job 404 'unknown-module' "there is no module '$name'" }
}

function Get-Route([string] $Path) {
    switch -Regex -CaseSensitive ($Path) {
        '\A/invoke\z' { return '/invoke', 'POST' }
        '\A/modules\z' { return '/modules', 'GET' }
        '\A/modules/[^/]+/commands\z' { return '/modules/{module}/commands', 'GET' }
    }
    'other', ''
}

function Invoke-Work([hashtable] $Shared, [hashtable] $Counters, [hashtable] $Job) {
    <#
    .SYNOPSIS
        Answer one request from the queue.
    #>
    $request = $Job.Context.Request
    $route, $method = Get-Route $Job.Path
    $Job.Route = $route
    if (-not (Test-Framing $request)) { return Send-Refusal $Job 400 'bad-framing' 'Content-Length and Transfer-Encoding were both sent' -Last }
    if ($route -eq 'other') { return Send-Refusal $Job 404 'not-found' 'there are /health, /ready, /metrics, /openapi.json, /modules, /modules/{module}/commands, /invoke' -Last }
    if (-not (Test-Token $Shared $request)) { return Send-Refusal $Job 401 'unauthorized' 'send Authorization: Bearer <token>' -Last }
    if ($request.HttpMethod -cne $method) {
        $Job.Context.Response.Headers['Allow'] = $method
        return Send-Refusal $Job 405 'method-not-allowed' "$route takes $method" -Last
    }
    if ($route -eq '/invoke') { Invoke-Call $Shared $Counters $Job } else { Send-Modules $Shared $Job }
}

function Initialize-Worker([hashtable] $Shared) {
    <#
    .SYNOPSIS
        Have the module runspace open before the first call; a failure is logged and tried again by the next call.
    #>
    while (-not $Shared.Catalog -and -not $Shared.Stop.IsSet) { $null = $Shared.Stop.Wait(20) }
    if ($Shared.Stop.IsSet) { return }
    $null = $Shared.Running.Add($script:Own)
    $null = ConvertFrom-StrictJson ([Text.Encoding]::UTF8.GetBytes('{"module":"","command":"","parameters":{}}'))
    $null = ConvertTo-Answer @{ Json = '[]'; Errors = @(); Warnings = @(); Truncated = $false } 0
    try { $null = Get-ModuleSession $Shared } catch { Write-Log $Shared.Log error 'runspace_failed' @{ reason = "$($_.Exception.GetBaseException().Message)" } }
}

Export-ModuleMember -Function Initialize-Worker, Invoke-Work
