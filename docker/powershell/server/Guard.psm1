# What one call may do to the whole process, watched by the accepting thread: fill the heap, or ask for the process's end.

$script:Pause = 200
$script:Next = 0
$script:Helpless = 0

function Get-HeapUse {
    # Bytes in use for each byte that the heap may have: the runtime's limit, or the memory of the container or the machine.
    [GC]::GetTotalMemory($false) / [GC]::GetGCMemoryInfo().TotalAvailableMemoryBytes
}

function Stop-Call([hashtable] $Call, [string] $Why) {
    $Call.Why = $Why
    $Call.Halt.Cancel()
}

function Watch-Exit([hashtable] $Shared) {
    # The call whose thread is held in [Environment]::Exit is answered at once.
    $name = ''
    while ($Shared.Gate.Asked.TryDequeue([ref] $name)) {
        $null = $Shared.Exited.Add($name)
        foreach ($call in @($Shared.Running)) {
            if ($call.Since -and $call.Threads.Contains($name)) { Stop-Call $call 'it called [Environment]::Exit, which is refused' }
        }
        Write-Log $Shared.Log warning 'exit_refused' @{ thread = $name }
    }
}

function Watch-Memory([hashtable] $Shared) {
    # Above four fifths of the heap after a collection the call that has run longest is stopped, a second later the next one. Calls that
    # have been left behind can't be: then the service is unhealthy, and ends while there is still memory to end with.
    if ((Get-HeapUse) -lt 0.8) { $Shared.Short = ''; $script:Helpless = 0; return }
    [GC]::Collect()
    $use = Get-HeapUse
    if ($use -lt 0.8) { $Shared.Short = ''; $script:Helpless = 0; return }
    $Shared.Short = '{0:p0} of the memory for modules is in use' -f $use
    $running = @($Shared.Running | Where-Object { $_.Since -and -not $_.Halt.IsCancellationRequested } | Sort-Object { $_.Since })
    $longest = if ($running) { $running[0] }
    Write-Log $Shared.Log error 'short_of_memory' ([ordered]@{ use = [Math]::Round($use, 2); stopped = "$($longest.Call)"; stuck_calls = Get-StuckCount $Shared })
    if ($longest) { Stop-Call $longest 'the service ran short of memory'; $script:Helpless = 0 } else { $script:Helpless++ }
    $script:Next = [Environment]::TickCount64 + 1000
    if ($script:Helpless -ge 3 -and -not $Shared.Stop.IsSet) {
        $Shared.Failed = $true
        $Shared.Stop.Set()
    }
}

function Watch-Calls([hashtable] $Shared) {
    <#
    .SYNOPSIS
        Called by the accepting thread in every turn; looks five times a second.
    #>
    $now = [Environment]::TickCount64
    if ($now -lt $script:Next) { return }
    $script:Next = $now + $script:Pause
    if (-not $Shared.Gate.Asked.IsEmpty) { Watch-Exit $Shared }
    Watch-Memory $Shared
}

Export-ModuleMember -Function Watch-Calls
