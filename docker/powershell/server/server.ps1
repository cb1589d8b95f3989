# The powershell-modules service: accepts on the main thread, works in a fixed number of runspaces, drains on SIGTERM, or by itself when too
# many calls are stuck.
# No `using`, no Add-Type, nothing compiled at start but small expression trees.
Set-StrictMode -Off
$ErrorActionPreference = 'Stop'
foreach ($file in 'Settings', 'Log', 'Runspaces', 'Metrics', 'Http', 'Token', 'Handlers', 'Guard') { Import-Module "$PSScriptRoot/$file.psm1" -DisableNameChecking }
Import-EngineModule
Stop-EngineLog

try {
    $settings = Get-Settings
    Initialize-Surroundings $settings
} catch {
    [Console]::Error.WriteLine("powershell-modules: $($_.Exception.GetBaseException().Message)")
    [Environment]::Exit(2)
}
$log = Open-Log $settings

$shared = [hashtable]::Synchronized(@{
    Settings = $settings; Log = $log; Catalog = $null; Inventory = @(); Surveyed = $false; Tokens = @{ Text = $null; Digests = @() }; Counters = [Collections.ArrayList]::Synchronized([Collections.ArrayList]::new())
    Stop = [Threading.ManualResetEventSlim]::new($false); Failed = $false
    # Of each worker the call it is in, what is wrong with the heap in words, and whether a module wants the process to end: see Guard.psm1.
    Running = [Collections.ArrayList]::Synchronized([Collections.ArrayList]::new()); Short = ''; Gate = $null
    Cut = [Threading.CancellationTokenSource]::new()
    # InFlight: requests whose work, the log line included, is not done. Unanswered: those whose answer has not begun.
    InFlight = [Threading.CountdownEvent]::new(1); Unanswered = [Threading.CountdownEvent]::new(1)
    Queue = [Collections.Concurrent.BlockingCollection[hashtable]]::new($settings.Queue)
})
# A queue is enumerated, and so emptied, when it passes through a pipeline: it travels inside a table.
$work = @{ Queue = $shared.Queue }
$probes = @{ Queue = [Collections.Concurrent.BlockingCollection[hashtable]]::new(64) }
$refusals = @{ Queue = [Collections.Concurrent.BlockingCollection[hashtable]]::new(256) }

function Start-Runspace([string[]] $Files, [string] $Command, [hashtable] $Parameters) {
    $shell = [powershell]::Create()
    $shell.Runspace = New-Runspace @($Files | ForEach-Object { "$PSScriptRoot/$_.psm1" })
    $null = $shell.AddCommand($Command).AddParameters($Parameters)
    @{ Shell = $shell; Async = $shell.BeginInvoke(); Command = $Command; Files = $Files; Parameters = $Parameters }
}

function Start-Serving([string] $Kind, [hashtable] $Line) {
    $files = @{
        work   = 'Log', 'Http', 'Metrics', 'Token', 'StrictJson', 'Types', 'Runspaces', 'Call', 'Worker', 'Loop'
        probe  = 'Log', 'Http', 'Metrics', 'Token', 'Runspaces', 'Probe', 'Loop'
        refuse = 'Log', 'Http', 'Metrics', 'Loop'
    }[$Kind]
    $counters = New-Counters
    $null = $shared.Counters.Add($counters)
    Start-Runspace $files 'Start-Loop' @{ Shared = $shared; Kind = $Kind; Line = $Line; Counters = $counters }
}

function Send-ToQueue([Net.HttpListenerContext] $Context) {
    # Only puts the request in a queue: a body that never comes, or a caller that never reads, must not stop the accepting.
    $job = @{
        Context = $Context; Id = Get-RequestId $Context.Request; Path = Get-RequestPath $Context.Request; Method = $Context.Request.HttpMethod
        Started = [Diagnostics.Stopwatch]::GetTimestamp(); Status = 0; Route = 'refused'; Unanswered = $shared.Unanswered
    }
    $shared.InFlight.AddCount()
    $shared.Unanswered.AddCount()
    if ($job.Path -cin '/health', '/ready', '/metrics', '/openapi.json') {
        if ($probes.Queue.TryAdd($job)) { return }
    } elseif (-not $shared.Stop.IsSet -and $work.Queue.TryAdd($job)) { return }
    $job.Refusal, $job.Detail = if ($shared.Stop.IsSet) { 'stopping', 'the service is stopping' } else { 'busy', 'the queue is full; try again' }
    if ($refusals.Queue.TryAdd($job)) { return }
    $Context.Response.Abort()
    Set-Answered $job
    $null = $shared.InFlight.Signal()
}

function Restore-Servers([Collections.IList] $Servers) {
    # A loop ends only at shutdown; one that ended by itself is a bug that must not cost a worker.
    for ($i = 0; $i -lt $Servers.Count; $i++) {
        $server = $Servers[$i]
        if (-not $server.Async.IsCompleted -or $shared.Stop.IsSet) { continue }
        Write-Log $log error 'loop_ended' @{ reason = "$($server.Shell.Streams.Error | Select-Object -First 1) $($server.Shell.InvocationStateInfo.Reason)" }
        $Servers[$i] = Start-Runspace $server.Files $server.Command $server.Parameters
    }
}

function Receive-Requests([Net.HttpListener] $Listener, [Collections.IList] $Servers) {
    # Accept until told to stop, then go on accepting (and refusing) until the requests in flight are answered: closing the listener would
    # cut them. When the time is up, what still runs is stopped and answered 503, for which a busy machine gets up to three seconds.
    $deadline = [long]::MaxValue
    $moment = 3000
    $task = $Listener.GetContextAsync()
    $handles = [Threading.WaitHandle[]] @(([IAsyncResult] $task).AsyncWaitHandle, $shared.Stop.WaitHandle)
    while ($true) {
        $handles[0] = ([IAsyncResult] $task).AsyncWaitHandle
        if ($shared.Stop.IsSet) {
            if ($deadline -eq [long]::MaxValue) {
                $deadline = [Environment]::TickCount64 + 1000 * $settings.DrainSeconds
                Write-Log $log info 'stopping' @{ in_flight = $shared.Unanswered.CurrentCount - 1 }
            }
            if ($shared.InFlight.CurrentCount -le 1 -or [Environment]::TickCount64 -ge $deadline + $moment) { return }
            if ([Environment]::TickCount64 -ge $deadline -and -not $shared.Cut.IsCancellationRequested) {
                Write-Log $log warning 'stopping_now' @{ in_flight = $shared.Unanswered.CurrentCount - 1 }
                $shared.Cut.Cancel()
            }
            $null = $handles[0].WaitOne(20)
        } else {
            $null = [Threading.WaitHandle]::WaitAny($handles, 250)
        }
        # It meets what it watches for; /health says so until the next look, which comes soon.
        try { Watch-Calls $shared } catch [OutOfMemoryException] { $shared.Short = 'no memory was left to look' }
        if (-not $task.IsCompleted) { Restore-Servers $Servers; continue }
        try { Send-ToQueue $task.Result } catch { Write-Log $log error 'accept_failed' @{ reason = "$($_.Exception.GetBaseException().Message)" } }
        $task = $Listener.GetContextAsync()
    }
}

$registration = Register-Stop $shared.Stop
$shared.Gate = Register-Exit
try {
    $listener = Open-Listener "http://$($settings.Address):$($settings.Port)/"
} catch {
    Write-Log $log error 'cannot_listen' @{ address = $settings.Address; port = $settings.Port; reason = "$($_.Exception.GetBaseException().Message)" }
    Exit-Process $shared.Gate 3
}

try {
    $servers = [Collections.ArrayList]::new()
    $survey = Start-Runspace @('Log', 'Runspaces', 'ModuleTree', 'ImportReason', 'Survey') 'Start-Survey' @{ Shared = $shared }
    $null = $servers.Add((Start-Serving 'probe' $probes))
    $null = $servers.Add((Start-Serving 'refuse' $refusals))
    foreach ($number in 1..$settings.Workers) { $null = $servers.Add((Start-Serving 'work' $work)) }
    $trouble = Get-TokenTrouble $settings.TokenFile
    if ($trouble) { Write-Log $log warning 'no_token' @{ file = $settings.TokenFile; reason = $trouble } }
    Write-Log $log info 'listening' ([ordered]@{ port = $settings.Port; workers = $settings.Workers; modules = $settings.ModulesPath; engine = "$($PSVersionTable.PSVersion)" })

    Receive-Requests $listener $servers

    $left = $shared.InFlight.CurrentCount - 1
    Write-Log $log info 'stopped' @{ unanswered = $left }
    $listener.Close()
    $registration.Dispose()
    Exit-Process $shared.Gate $(if ($left -gt 0 -or $shared.Failed) { 1 } else { 0 })
} catch {
    Write-Log $log error 'ended' @{ reason = "$($_.Exception.GetBaseException().Message)" }
} finally {
    # Without it the process would wait for the gate as it ends, and answer nobody.
    Exit-Process $shared.Gate 1
}
