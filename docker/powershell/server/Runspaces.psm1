# Runspaces of the service: opened one by one in try/catch (a pool that grows lazily can abort the process),
# without a host (what modules print goes nowhere), and left behind when a call in one can't be stopped.

# The engine's own modules, imported by path when a runspace opens: auto-loading them at first use can fail when several runspaces do it
# at once (https://github.com/PowerShell/PowerShell/issues/17150), and follows whatever PSModulePath is by then.
$script:Engine = foreach ($name in 'Utility', 'Management') { "$PSHOME/Modules/Microsoft.PowerShell.$name/Microsoft.PowerShell.$name.psd1" }

# A script's depth is limited by the stack of the thread it runs on: the engine refuses a call ("call depth overflow") when little is left.
# On the 10 MB of the engine's own threads an endless recursion takes a minute to get there, because every call looks through the scopes
# of all calls around it. Imports get the 10 MB: a parser that meets deeply nested source has no such check.
$script:WideStack = 10000000
$script:TaskType = [Threading.Tasks.Task[Collections.ObjectModel.Collection[psobject]]]
$script:InvokeType = [Func[Collections.ObjectModel.Collection[psobject]]]
$script:InvokeMethod = [powershell].GetMethod('Invoke', 0, [type[]] @())
$script:LaneBody = $null

function New-Runspace([string[]] $Files, [string] $Threads = 'ReuseThread') {
    <#
    .SYNOPSIS
        An open runspace with the engine's own commands and the given module files of the service; throws when it can't be opened.
    #>
    $initial = [Management.Automation.Runspaces.InitialSessionState]::CreateDefault2()
    $initial.ImportPSModule([string[]] ($script:Engine + $Files))
    $runspace = [runspacefactory]::CreateRunspace($initial)
    $runspace.ThreadOptions = $Threads
    $runspace.Open()
    $runspace
}

function Get-LaneBody {
    # What a thread of Start-Lane runs: while (true) { signal.WaitOne(); if (box.Value == null) break; box.Value.RunSynchronously(); }.
    # Compiled, because a script block needs a runspace; an exception that left it would end the process.
    if ($script:LaneBody) { return $script:LaneBody }
    $expression = [Linq.Expressions.Expression]
    $place = $expression::Parameter([object], 'place')
    $lane = $expression::Convert($place, [Tuple[Threading.AutoResetEvent, Runtime.CompilerServices.StrongBox[Threading.Tasks.Task]]])
    $task = $expression::Field($expression::Property($lane, 'Item2'), 'Value')
    $end = $expression::Label()
    $wait = $expression::Call($expression::Property($lane, 'Item1'), [Threading.AutoResetEvent].GetMethod('WaitOne', [type[]] @()))
    $leave = $expression::IfThen($expression::Equal($task, $expression::Constant($null)), $expression::Break($end))
    $run = $expression::Call($task, [Threading.Tasks.Task].GetMethod('RunSynchronously', [type[]] @()))
    $safe = $expression::TryCatch($run, [Linq.Expressions.CatchBlock[]] @($expression::Catch([exception], $expression::Empty())))
    $loop = $expression::Loop($expression::Block([Linq.Expressions.Expression[]] @($wait, $leave, $safe)), $end)
    $script:LaneBody = $expression::Lambda([Threading.ParameterizedThreadStart], $loop, [Linq.Expressions.ParameterExpression[]] @($place)).Compile()
    $script:LaneBody
}

function Start-Lane([int] $StackBytes) {
    # A new thread with this stack, which runs one task after the other: (signal, box). A semaphore or a blocking queue would spin before it
    # waits, which costs more than the switch that it saves.
    $lane = [Tuple[Threading.AutoResetEvent, Runtime.CompilerServices.StrongBox[Threading.Tasks.Task]]]::new(
        [Threading.AutoResetEvent]::new($false), [Runtime.CompilerServices.StrongBox[Threading.Tasks.Task]]::new())
    $thread = [Threading.Thread]::new((Get-LaneBody), $StackBytes)
    $thread.IsBackground = $true
    $thread.Start($lane)
    $lane
}

function Set-Lane([object] $Lane, [Threading.Tasks.Task] $Task) {
    # Have the thread run this task; $null ends it, after the task that it is in.
    $Lane.Item2.Value = $Task
    $null = $Lane.Item1.Set()
}

function New-Session([string[]] $Files, [int] $StackBytes = 1MB) {
    <#
    .SYNOPSIS
        @{ Runspace; Lane } for Invoke-Timed: a runspace, and the thread that its calls run on, which has a stack of this size.
        Throws when the runspace can't be opened.
    #>
    @{ Runspace = New-Runspace $Files 'UseCurrentThread'; Lane = Start-Lane $StackBytes }
}

function Close-Session([hashtable] $Session, [switch] $Stuck) {
    <#
    .SYNOPSIS
        Close a session without waiting. -Stuck: closing the runspace would wait for a call that doesn't end, so only its thread is
        let go, for the moment when the call ends after all.
    #>
    Set-Lane $Session.Lane $null
    if (-not $Stuck) { $Session.Runspace.CloseAsync() }
}

function Invoke-Timed {
    <#
    .SYNOPSIS
        Run one command until its time limit, or until $Cut is cancelled: @{ State = done|failed|stopped|stuck; Output; Reason; Async }.
    .DESCRIPTION
        A running script is stopped. A blocking .NET call can't be: the state is then `stuck`, the session must not be used again, and
        Async tells later whether it ended after all. -Fed names a drive whose items are piped into the command. -Wide runs it on a
        thread of its own with the engine's usual stack.
    #>
    param([hashtable] $Session, [string] $Command, [hashtable] $Parameters, [int] $Milliseconds, [string] $Fed = '',
        [Threading.CancellationToken] $Cut = [Threading.CancellationToken]::None, [switch] $Wide)
    $shell = [powershell]::Create()
    $shell.Runspace = $Session.Runspace
    if ($Fed) { $null = $shell.AddCommand('Get-ChildItem').AddParameter('Path', $Fed) }
    $null = $shell.AddCommand($Command).AddParameters($Parameters)
    $task = $script:TaskType::new([Delegate]::CreateDelegate($script:InvokeType, $shell, $script:InvokeMethod))
    $ended = ([IAsyncResult] $task).AsyncWaitHandle
    $lane = if ($Wide) { Start-Lane $script:WideStack } else { $Session.Lane }
    Set-Lane $lane $task
    $ends = if ($Cut.CanBeCanceled) { $ended, $Cut.WaitHandle } else { , $ended }
    $first = [Threading.WaitHandle]::WaitAny([Threading.WaitHandle[]] $ends, $Milliseconds)
    if ($Wide) { Set-Lane $lane $null }
    if ($first -eq 0) {
        $shell.Dispose()
        if ($task.IsFaulted) { return @{ State = 'failed'; Reason = "$($task.Exception.GetBaseException().Message)" } }
        $output = $task.Result
        return @{ State = 'done'; Output = $(if ($output.Count) { $output[$output.Count - 1] }) }
    }
    $null = $shell.BeginStop($null, $null)
    $state = if ($ended.WaitOne(1000)) { 'stopped' } else { 'stuck' }
    @{ State = $state; Async = [IAsyncResult] $task }
}

function New-ModuleSession([hashtable] $Settings, [string[]] $Paths, [switch] $Cold) {
    <#
    .SYNOPSIS
        A session for the user's modules, with those in $Paths imported: @{ Session; Failed }. Throws when it can't be had in time.
        -Cold leaves out what only calls need.
    #>
    $session = New-Session ("$PSScriptRoot/Frame.psm1", "$PSScriptRoot/Describe.psm1") $Settings.CallStack
    # Time for each module, and a minute for the runspace itself: a busy machine is slow at it, and without it nothing can be served.
    $limit = 60000 + 1000 * $Settings.ImportSeconds * $Paths.Count
    $begun = Invoke-Timed $session 'Initialize-UcFrame' @{ Paths = $Paths; Place = $Settings.Workspace } $limit -Wide
    if ($begun.State -ne 'done') { throw "a runspace did not get ready: $($begun.State) $($begun.Reason)" }
    if ($Cold) { return @{ Session = $session; Failed = $begun.Output } }
    $null = Invoke-Timed $session 'Save-UcFrame' @{} $limit 'variable:'
    # Once through everything a call runs: the first caller should not wait for the compiler.
    $call = @{ Module = 'Frame'; Command = 'Test-UcFrame'; Owner = ''; Parameters = @{ Text = 'x' }; ResultBytes = 1MB; ResultDepth = 6 }
    $called = Invoke-Timed $session 'Invoke-UcCommand' @{ Call = $call } $limit
    if (-not $called.Output.Restored) { $null = Invoke-Timed $session 'Restore-UcFrame' @{} $limit 'variable:' }
    @{ Session = $session; Failed = $begun.Output }
}

function Stop-EngineLog {
    <#
    .SYNOPSIS
        Have the engine write no event to the system's log, of which a container has none, for each command that begins or ends: putting
        the events together takes half the time of a call of a function. An engine that keeps its log elsewhere goes on writing.
    #>
    $log = [psobject].Assembly.GetType('System.Management.Automation.MshLog')
    $field = if ($log) { $log.GetField('s_logProviders', [Reflection.BindingFlags] 'Static, NonPublic') }
    $providers = if ($field) { $field.GetValue($null) }
    if ($providers -isnot [Collections.IDictionary]) { return }
    foreach ($list in $providers.Values) { if ($list -is [Collections.IList]) { $list.Clear() } }
}

function Import-EngineModule {
    <#
    .SYNOPSIS
        Import the engine's own modules into this session, as New-Runspace does into a new one.
    #>
    Import-Module $script:Engine -Global
}

Export-ModuleMember -Function New-Runspace, Stop-EngineLog, Import-EngineModule, New-Session, Close-Session, Invoke-Timed, New-ModuleSession
