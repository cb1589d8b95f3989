# Runspaces of the service: opened one by one in try/catch (a pool that grows lazily can abort the process),
# without a host (what modules print goes nowhere), and left behind when a call in one can't be stopped.

# The engine's own modules, imported by path when a runspace opens: auto-loading them at first use can fail when several runspaces do it
# at once (https://github.com/PowerShell/PowerShell/issues/17150), and follows whatever PSModulePath is by then.
$script:Engine = foreach ($name in 'Utility', 'Management') { "$PSHOME/Modules/Microsoft.PowerShell.$name/Microsoft.PowerShell.$name.psd1" }

function New-Runspace([string[]] $Files) {
    <#
    .SYNOPSIS
        An open runspace with the engine's own commands and the given module files of the service; throws when it can't be opened.
    #>
    $initial = [Management.Automation.Runspaces.InitialSessionState]::CreateDefault2()
    $initial.ImportPSModule([string[]] ($script:Engine + $Files))
    $runspace = [runspacefactory]::CreateRunspace($initial)
    $runspace.ThreadOptions = 'ReuseThread'
    $runspace.Open()
    $runspace
}

function Invoke-Timed([runspace] $Runspace, [string] $Command, [hashtable] $Parameters, [int] $Milliseconds, [string] $Fed = '', [Threading.WaitHandle] $Cut) {
    <#
    .SYNOPSIS
        Run one command until its time limit, or until $Cut is set: @{ State = done|failed|stopped|stuck; Output; Reason; Async }.
    .DESCRIPTION
        A running script is stopped. A blocking .NET call can't be: the state is then `stuck`, the runspace must not be used again, and
        Async tells later whether it ended after all. -Fed names a drive whose items are piped into the command.
    #>
    $shell = [powershell]::Create()
    $shell.Runspace = $Runspace
    if ($Fed) { $null = $shell.AddCommand('Get-ChildItem').AddParameter('Path', $Fed) }
    $null = $shell.AddCommand($Command).AddParameters($Parameters)
    $async = $shell.BeginInvoke()
    $ends = if ($Cut) { $async.AsyncWaitHandle, $Cut } else { , $async.AsyncWaitHandle }
    if ([Threading.WaitHandle]::WaitAny([Threading.WaitHandle[]] $ends, $Milliseconds) -eq 0) {
        try {
            $output = $shell.EndInvoke($async)
            return @{ State = 'done'; Output = $(if ($output.Count) { $output[$output.Count - 1] }) }
        } catch {
            return @{ State = 'failed'; Reason = "$($_.Exception.GetBaseException().Message)" }
        } finally {
            $shell.Dispose()
        }
    }
    $null = $shell.BeginStop($null, $null)
    $state = if ($async.AsyncWaitHandle.WaitOne(400)) { 'stopped' } else { 'stuck' }
    @{ State = $state; Async = $async }
}

function New-ModuleRunspace([hashtable] $Settings, [string[]] $Paths, [switch] $Cold) {
    <#
    .SYNOPSIS
        A runspace for the user's modules, with those in $Paths imported: @{ Runspace; Failed }. Throws when it can't be had in time.
        -Cold leaves out what only calls need.
    #>
    $runspace = New-Runspace "$PSScriptRoot/Frame.psm1", "$PSScriptRoot/Describe.psm1"
    # Time for each module, and a minute for the runspace itself: a busy machine is slow at it, and without it nothing can be served.
    $limit = 60000 + 1000 * $Settings.ImportSeconds * $Paths.Count
    $begun = Invoke-Timed $runspace 'Initialize-UcFrame' @{ Paths = $Paths; Place = $Settings.Workspace } $limit
    if ($begun.State -ne 'done') { throw "a runspace did not get ready: $($begun.State) $($begun.Reason)" }
    if ($Cold) { return @{ Runspace = $runspace; Failed = $begun.Output } }
    $null = Invoke-Timed $runspace 'Save-UcFrame' @{} $limit 'variable:'
    # Once through everything a call runs: the first caller should not wait for the compiler.
    $call = @{ Module = 'Frame'; Command = 'Test-UcFrame'; Owner = ''; Parameters = @{ Text = 'x' }; ResultBytes = 1MB; ResultDepth = 6 }
    $called = Invoke-Timed $runspace 'Invoke-UcCommand' @{ Call = $call } $limit
    if (-not $called.Output.Restored) { $null = Invoke-Timed $runspace 'Restore-UcFrame' @{} $limit 'variable:' }
    @{ Runspace = $runspace; Failed = $begun.Output }
}

function Import-EngineModule {
    <#
    .SYNOPSIS
        Import the engine's own modules into this session, as New-Runspace does into a new one.
    #>
    Import-Module $script:Engine -Global
}

Export-ModuleMember -Function New-Runspace, Import-EngineModule, Invoke-Timed, New-ModuleRunspace
