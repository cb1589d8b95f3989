# The loop that every serving runspace runs: take a request from a queue, answer it, log it, count it. One of three kinds of work.

function Write-Request([hashtable] $Shared, [hashtable] $Job, [double] $Milliseconds) {
    $quiet = $Job.Path -in '/health', '/ready', '/metrics', '/openapi.json' -and $Job.Status -lt 400
    $path = if ($Job.Path.Length -gt 200) { $Job.Path.Substring(0, 200) } else { $Job.Path }
    $fields = [ordered]@{
        request_id = $Job.Id; method = $Job.Context.Request.HttpMethod; path = $path; status = $Job.Status; ms = [Math]::Round($Milliseconds, 1)
    }
    foreach ($extra in 'Call', 'Outcome', 'Aborted') { if ($Job[$extra]) { $fields[$extra.ToLowerInvariant()] = $Job[$extra] } }
    Write-Log $Shared.Log $(if ($quiet) { 'debug' } else { 'info' }) 'request' $fields
}

function Invoke-Job([hashtable] $Shared, [hashtable] $Counters, [string] $Kind, [hashtable] $Job) {
    try {
        switch ($Kind) {
            'work' {
                if ($Shared.Cut.IsCancellationRequested) { Send-Refusal $Job 503 'stopping' 'the service is stopping' -Last }
                else { Invoke-Work $Shared $Counters $Job }
            }
            'probe' { Invoke-Probe $Shared $Job }
            'refuse' { Send-Refusal $Job 503 $Job.Refusal $Job.Detail -Last }
        }
    } catch {
        $reason = "$($_.Exception.GetBaseException().Message)"
        Write-Log $Shared.Log error 'request_failed' ([ordered]@{ request_id = $Job.Id; reason = $reason; at = "$($_.ScriptStackTrace)".Split("`n")[0] })
        if (-not $Job.Status) { Send-Refusal $Job 500 'internal' 'the service failed; its log has the reason under this request id' -Last }
    }
}

function Start-Loop([hashtable] $Shared, [string] $Kind, [object] $Line, [hashtable] $Counters) {
    <#
    .SYNOPSIS
        Serve the queue in $Line.Queue until it is completed and empty.
    #>
    if ($Kind -eq 'work') { Initialize-Worker $Shared }
    foreach ($job in $Line.Queue.GetConsumingEnumerable()) {
        try {
            $null = Invoke-Job $Shared $Counters $Kind $job
            # Until the answer was written: what a worker tidies up afterwards is not the caller's time.
            $elapsed = [Diagnostics.Stopwatch]::GetElapsedTime($job.Started, $job.Answered ?? [Diagnostics.Stopwatch]::GetTimestamp())
            Add-Request $Counters $job.Method "$($job.Route)" $job.Status $elapsed.TotalSeconds
            Write-Request $Shared $job $elapsed.TotalMilliseconds
        } catch {
            Write-Log $Shared.Log error 'loop_error' @{ reason = "$($_.Exception.GetBaseException().Message)" }
        } finally {
            Set-Answered $job
            $null = $Shared.InFlight.Signal()
        }
    }
}

Export-ModuleMember -Function Start-Loop
