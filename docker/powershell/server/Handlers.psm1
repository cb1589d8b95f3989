# Handlers that the runtime calls on threads without a runspace, where a script block would abort the process: they have to be compiled code.

$script:Expression = [Linq.Expressions.Expression]

function New-Lambda([type] $Type, [Linq.Expressions.Expression[]] $Steps, [Linq.Expressions.ParameterExpression[]] $Parameters) {
    $script:Expression::Lambda($Type, $script:Expression::Block($Steps), $Parameters).Compile()
}

function Get-EventCall([Threading.ManualResetEventSlim] $Event, [string] $Method) {
    $script:Expression::Call($script:Expression::Constant($Event), [Threading.ManualResetEventSlim].GetMethod($Method, [type[]] @()))
}

function Register-Stop([Threading.ManualResetEventSlim] $Stop) {
    <#
    .SYNOPSIS
        Have SIGTERM set $Stop instead of ending the process; what is returned has to be kept.
    #>
    $context = $script:Expression::Parameter([Runtime.InteropServices.PosixSignalContext], 'context')
    $cancel = $script:Expression::Assign($script:Expression::Property($context, 'Cancel'), $script:Expression::Constant($true))
    $handler = New-Lambda ([Action[Runtime.InteropServices.PosixSignalContext]]) @($cancel, (Get-EventCall $Stop 'Set')) @($context)
    [Runtime.InteropServices.PosixSignalRegistration]::Create([Runtime.InteropServices.PosixSignal]::SIGTERM, $handler)
}

function Register-Exit {
    <#
    .SYNOPSIS
        Keep the process when a module calls [Environment]::Exit: the calling thread is held in the runtime's own exit event, before
        anything is torn down, and everything else goes on. @{ Asked; Allowed; Code } for Watch-Exit and Exit-Process.
    #>
    $gate = @{ Asked = [Collections.Concurrent.ConcurrentQueue[string]]::new(); Allowed = [Threading.ManualResetEventSlim]::new($false); Code = [int[]] @(0) }
    $sender = $script:Expression::Parameter([object], 'sender')
    $arguments = $script:Expression::Parameter([EventArgs], 'arguments')
    $thread = $script:Expression::Property($null, [Threading.Thread].GetProperty('CurrentThread'))
    $enqueue = [Collections.Concurrent.ConcurrentQueue[string]].GetMethod('Enqueue')
    $steps = @(
        # A thread without a name is none of the lanes that calls run on.
        $script:Expression::Call($script:Expression::Constant($gate.Asked), $enqueue, $script:Expression::Coalesce($script:Expression::Property($thread, 'Name'), $script:Expression::Constant('')))
        Get-EventCall $gate.Allowed 'Wait'
        # The process ends with the service's code, not with the one of whoever asked first.
        $script:Expression::Assign($script:Expression::Property($null, [Environment].GetProperty('ExitCode')),
            $script:Expression::ArrayIndex($script:Expression::Constant($gate.Code), $script:Expression::Constant(0)))
    )
    [AppDomain]::CurrentDomain.add_ProcessExit((New-Lambda ([EventHandler]) $steps @($sender, $arguments)))
    $gate
}

function Exit-Process([hashtable] $Gate, [int] $Code) {
    <#
    .SYNOPSIS
        End the process. Not `exit`: a call that can't be stopped holds a thread, and the process would wait for it.
    #>
    $Gate.Code[0] = $Code
    $Gate.Allowed.Set()
    [Environment]::Exit($Code)
}

Export-ModuleMember -Function Register-Stop, Register-Exit, Exit-Process
