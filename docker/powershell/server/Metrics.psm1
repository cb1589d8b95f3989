# Counters without locks: each worker writes its own table, /metrics adds them up.

$script:Bounds = 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30
$script:Methods = 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'

function New-Counters {
    <#
    .SYNOPSIS
        One writer's table: requests by "method|route|status", calls by "module|command|outcome", the duration histogram, lost runspaces.
    #>
    @{
        Requests = [hashtable]::Synchronized(@{}); Calls = [hashtable]::Synchronized(@{})
        Buckets = [long[]]::new($script:Bounds.Count); Seconds = 0.0; Count = [long] 0; Replaced = [long] 0
        Stuck = [Collections.Concurrent.ConcurrentBag[IAsyncResult]]::new()
    }
}

function Add-Request([hashtable] $Counters, [string] $Method, [string] $Route, [int] $Status, [double] $Seconds) {
    <#
    .SYNOPSIS
        Count one answered request. $Route is one of the service's own, never the caller's path; an unknown method is 'other'.
    #>
    if ($Method -cnotin $script:Methods) { $Method = 'other' }
    $Counters.Requests["$Method|$Route|$Status"] += 1
    $Counters.Seconds += $Seconds
    $Counters.Count += 1
    for ($i = 0; $i -lt $script:Bounds.Count; $i++) { if ($Seconds -le $script:Bounds[$i]) { $Counters.Buckets[$i] += 1 } }
}

function Add-Call([hashtable] $Counters, [string] $Module, [string] $Command, [string] $Outcome) {
    <#
    .SYNOPSIS
        Count one call of a command of the catalog.
    #>
    $Counters.Calls["$Module|$Command|$Outcome"] += 1
}

function Get-StuckCount([hashtable] $Shared) {
    <#
    .SYNOPSIS
        Calls that passed their time limit, could not be stopped and still hold a thread.
    #>
    $stuck = 0
    foreach ($counters in $Shared.Counters) { foreach ($async in $counters.Stuck) { if (-not $async.IsCompleted) { $stuck++ } } }
    $stuck
}

function Get-Sum([hashtable] $Shared, [string] $Table) {
    $sum = @{}
    foreach ($counters in $Shared.Counters) {
        foreach ($key in @($counters[$Table].Keys)) { $sum[$key] += $counters[$Table][$key] }
    }
    $sum
}

function Get-Family([string] $Name, [string] $Type, [string] $Help, [string[]] $Samples) {
    "# HELP $Name $Help", "# TYPE $Name $Type" + @($Samples | Where-Object { $_ })
}

function Get-Labelled([string] $Name, [hashtable] $Values, [string[]] $Labels) {
    foreach ($key in $Values.Keys | Sort-Object) {
        $parts = $key.Split('|')
        $pairs = for ($i = 0; $i -lt $Labels.Count; $i++) { '{0}="{1}"' -f $Labels[$i], ($parts[$i] -replace '(["\\])', '\$1') }
        "$Name{$($pairs -join ',')} $($Values[$key])"
    }
}

function Get-Histogram([hashtable] $Shared) {
    $name = 'http_request_duration_seconds'
    $count = ($Shared.Counters | ForEach-Object { $_.Count } | Measure-Object -Sum).Sum
    for ($i = 0; $i -lt $script:Bounds.Count; $i++) {
        $below = ($Shared.Counters | ForEach-Object { $_.Buckets[$i] } | Measure-Object -Sum).Sum
        "${name}_bucket{le=""$($script:Bounds[$i])""} $below"
    }
    "${name}_bucket{le=""+Inf""} $count"
    "${name}_sum $(($Shared.Counters | ForEach-Object { $_.Seconds } | Measure-Object -Sum).Sum)"
    "${name}_count $count"
}

function Get-Gauges([hashtable] $Shared) {
    $process = [Diagnostics.Process]::GetCurrentProcess()
    $started = [DateTimeOffset]::new($process.StartTime).ToUnixTimeMilliseconds() / 1000
    @(
        , ('powershell_queue_depth', 'gauge', 'Requests waiting for a worker.', $Shared.Queue.Count)
        , ('powershell_queue_capacity', 'gauge', 'Requests that may wait; more are answered 503.', $Shared.Settings.Queue)
        , ('powershell_workers', 'gauge', 'Workers.', $Shared.Settings.Workers)
        , ('http_requests_in_flight', 'gauge', 'Requests accepted and not yet answered.', ($Shared.Unanswered.CurrentCount - 1))
        , ('powershell_runspaces_replaced_total', 'counter', 'Runspaces replaced after a call passed its time limit.', ($Shared.Counters | ForEach-Object { $_.Replaced } | Measure-Object -Sum).Sum)
        , ('powershell_runspaces_stuck', 'gauge', 'Calls past their time limit that could not be stopped.', (Get-StuckCount $Shared))
        , ('process_resident_memory_bytes', 'gauge', 'Resident memory.', $process.WorkingSet64)
        , ('process_cpu_seconds_total', 'counter', 'Processor time used.', $process.TotalProcessorTime.TotalSeconds)
        , ('process_start_time_seconds', 'gauge', 'When the process started.', $started)
        , ('process_threads', 'gauge', 'Threads.', $process.Threads.Count)
    )
}

function Get-MetricsText([hashtable] $Shared) {
    <#
    .SYNOPSIS
        All metrics in the Prometheus text format.
    #>
    $catalog = $Shared.Catalog
    $lines = @(
        Get-Family 'http_requests_total' counter 'Requests answered.' (Get-Labelled 'http_requests_total' (Get-Sum $Shared Requests) method, route, status)
        Get-Family 'http_request_duration_seconds' histogram 'Time from accepting a request to answering it.' (Get-Histogram $Shared)
        Get-Family 'powershell_calls_total' counter 'Commands called.' (Get-Labelled 'powershell_calls_total' (Get-Sum $Shared Calls) module, command, outcome)
        if ($catalog) { Get-Family 'powershell_modules' gauge 'Modules of the tree by state.' (Get-Labelled 'powershell_modules' $catalog.Counts @('state')) }
        foreach ($gauge in Get-Gauges $Shared) { Get-Family $gauge[0] $gauge[1] $gauge[2] "$($gauge[0]) $([string]::Format([cultureinfo]::InvariantCulture, '{0}', $gauge[3]))" }
    )
    ($lines -join "`n") + "`n"
}

Export-ModuleMember -Function New-Counters, Add-Request, Add-Call, Get-StuckCount, Get-MetricsText
