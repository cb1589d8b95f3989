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
        Have time when a module calls [Environment]::Exit: @{ Asked; Allowed; Code } for the accepting thread and Exit-Process.
    .DESCRIPTION
        The runtime raises its exit event on the thread of the finalizers and waits for it, as does the thread that asked; all else goes on
        until the event has been handled. Without finalizers no process lasts, so it has to end, but after the calls in flight.
    #>
    $gate = @{ Asked = [Threading.ManualResetEventSlim]::new($false); Allowed = [Threading.ManualResetEventSlim]::new($false); Code = [int[]] @(0) }
    $sender = $script:Expression::Parameter([object], 'sender')
    $arguments = $script:Expression::Parameter([EventArgs], 'arguments')
    # The process ends with the service's code, not with the one of whoever asked first.
    $code = $script:Expression::Assign($script:Expression::Property($null, [Environment].GetProperty('ExitCode')),
        $script:Expression::ArrayIndex($script:Expression::Constant($gate.Code), $script:Expression::Constant(0)))
    $steps = @((Get-EventCall $gate.Asked 'Set'), (Get-EventCall $gate.Allowed 'Wait'), $code)
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
