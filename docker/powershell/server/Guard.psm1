# What one call may do to the whole process, watched by the accepting thread: fill the heap, or ask for the process's end.

$script:Pause = 200
$script:Next = 0
$script:Strikes = 0

function Get-HeapUse {
    # Bytes in use for each byte that the heap may have: the runtime's limit, or the memory of the container or the machine.
    [GC]::GetTotalMemory($false) / [GC]::GetGCMemoryInfo().TotalAvailableMemoryBytes
}

function Stop-Service([hashtable] $Shared) {
    # As at SIGTERM, but with exit code 1: whatever restarts the container gives it a new process.
    $Shared.Failed = $true
    $Shared.Stop.Set()
}

function Watch-Memory([hashtable] $Shared) {
    # Above four fifths of the heap after a collection the call that has run longest is stopped, a second later the next one: not before
    # the first has ended or was left behind, which takes its time on a busy machine. If that does not help, or calls that can't be stopped
    # hold the memory, the service ends while there is still memory to end with.
    if ((Get-HeapUse) -ge 0.8) { [GC]::Collect() }
    $use = Get-HeapUse
    if ($use -lt 0.8) {
        $Shared.Short = ''
        $script:Strikes = 0
        return
    }
    $Shared.Short = '{0:p0} of the memory for modules is in use' -f $use
    $script:Next = [Environment]::TickCount64 + 1000
    $ending, $running = @($Shared.Running | Where-Object { $_.Since } | Sort-Object { $_.Since }).Where({ $_.Halt.IsCancellationRequested }, 'Split')
    if ($ending) { return }
    $script:Strikes++
    $stuck = Get-StuckCount $Shared
    $longest = if ($running -and -not $stuck) { $running[0] }
    Write-Log $Shared.Log error 'short_of_memory' ([ordered]@{ use = [Math]::Round($use, 2); stopped = "$($longest.Call)"; stuck_calls = $stuck })
    if ($longest) { $longest.Halt.Cancel() }
    if ($script:Strikes -ge 3) { Stop-Service $Shared }
}

function Watch-Calls([hashtable] $Shared) {
    <#
    .SYNOPSIS
        Called by the accepting thread in every turn; looks five times a second.
    #>
    $now = [Environment]::TickCount64
    if ($now -lt $script:Next) { return }
    $script:Next = $now + $script:Pause
    if ($Shared.Stop.IsSet) { return }
    if ($Shared.Gate.Asked.IsSet) {
        Write-Log $Shared.Log error 'exit_asked' @{ reason = 'a module called [Environment]::Exit; the calls in flight are finished first' }
        Stop-Service $Shared
    } else { Watch-Memory $Shared }
}

Export-ModuleMember -Function Watch-Calls
