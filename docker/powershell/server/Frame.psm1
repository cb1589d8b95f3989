# The part of the service that lives beside the user's modules: import one, find a command, call it, clean up after it.
# Its functions are called by name from another runspace (Runspaces.psm1) and return one hashtable of plain values.
Import-Module "$PSScriptRoot/Envelope.psm1"

$script:Globals = @{}
$script:Table = $null
$script:MostMessages = 100
$script:MostMessage = 4096
# These belong to the engine; setting them back fails or means nothing.
$script:Automatic = [Collections.Generic.HashSet[string]]::new(
    [string[]] ('?', '^', '$', '_', 'args', 'input', 'foreach', 'PSItem', 'this', 'Error', 'PWD', 'OLDPWD', 'StackTrace', 'Matches',
        'MyInvocation', 'PSBoundParameters', 'PSCommandPath', 'PSScriptRoot', 'ExecutionContext', 'LASTEXITCODE'),
    [StringComparer]::OrdinalIgnoreCase)

function Get-GlobalTable {
    # The engine's own table of the global variables; nothing when this engine keeps it elsewhere. Listing them the public way needs a
    # pipeline of its own, at the top level, and costs more than many a call: that is done where there is no table.
    $private = [Reflection.BindingFlags] 'Instance, NonPublic'
    $place = $ExecutionContext.SessionState
    foreach ($name in 'Internal', 'GlobalScope', 'Variables') {
        $property = $place.GetType().GetProperty($name, $private)
        if (-not $property) { return }
        $place = $property.GetValue($place)
    }
    if ($place -is [Collections.Generic.IDictionary[string, psvariable]] -and $place.ContainsKey('ErrorActionPreference')) { , $place }
}

function Initialize-UcFrame([string[]] $Paths, [string] $Place) {
    <#
    .SYNOPSIS
        Import the modules every call may need; returns what failed as @{ path = message }.
    #>
    $global:ProgressPreference = 'SilentlyContinue'
    $global:LASTEXITCODE = 0
    if ([IO.Directory]::Exists($Place)) { Set-Location -LiteralPath $Place }
    $script:Place = $ExecutionContext.SessionState.Path.CurrentLocation.Path
    $script:Table = Get-GlobalTable
    # A module that unloads all others must not unload what calls it.
    Get-Module Frame, Envelope, Describe, Types -All | Where-Object { $_.ModuleBase -eq $PSScriptRoot } | ForEach-Object { $_.AccessMode = 'Constant' }
    $failed = @{}
    foreach ($path in $Paths) {
        $outcome = Import-UcModule $path
        if (-not $outcome.Loaded) { $failed[$path] = "$($outcome.Failures | ForEach-Object Message | Select-Object -First 1)" }
    }
    $failed
}

function Test-UcFrame([string] $Text) {
    <#
    .SYNOPSIS
        What the first call of a new frame calls: one of each common kind of value.
    #>
    [pscustomobject] @{ text = $Text; number = 1; list = @(1.5, $true); table = @{ at = [DateTime]::UtcNow }; nothing = $null }
}

function Get-Failure([Management.Automation.ErrorRecord] $Record) {
    $exception = $Record.Exception
    @{
        Id      = "$($Record.FullyQualifiedErrorId)"
        Message = ("$exception".Length -and $exception.Message) ? $exception.Message : "$Record"
        Type    = $exception.GetType().Name
        Inner   = $exception.GetBaseException().GetType().Name
        File    = "$($Record.InvocationInfo.ScriptName)"
        Line    = "$($Record.InvocationInfo.Line)"
    }
}

function Import-UcModule([string] $Path) {
    <#
    .SYNOPSIS
        Import one module by its file. @{ Loaded; Failures = @(what went wrong, the cause first) }; prints nothing, throws nothing.
    #>
    $problems = $null
    $module = $null
    $failures = [Collections.Generic.List[hashtable]]::new()
    try {
        $module = Import-Module -Name $Path -Global -PassThru -DisableNameChecking -ErrorAction Continue -ErrorVariable problems 2>$null 3>$null 4>$null 5>$null 6>$null |
            Where-Object { $_ -is [psmoduleinfo] } | Select-Object -Last 1
    } catch {
        $failures.Add((Get-Failure $_))
    }
    foreach ($problem in $problems) {
        if ($problem -is [Management.Automation.ErrorRecord]) { $failures.Add((Get-Failure $problem)) }
    }
    $version = if ($module) { "$($module.Version)" } else { '' }
    $exported = @(if ($module) { $module.ExportedFunctions.Keys; $module.ExportedCmdlets.Keys })
    @{ Loaded = $null -ne $module; Version = $version; File = "$($module.Path)"; Exported = [string[]] $exported; Failures = $failures.ToArray() }
}

function Find-UcCommand([string] $Module, [string] $Command, [string] $Owner) {
    <#
    .SYNOPSIS
        The command as the requested module exports it, else as its owner does.
    .DESCRIPTION
        A name with its module brings the module back when a later import has unloaded it. A bare name must not make the engine
        look through every module there is.
    #>
    $PSModuleAutoLoadingPreference = 'None'
    $names = if ($Owner) { "$Module\$Command", "$Owner\$Command" } else { "$Module\$Command", $Command }
    foreach ($name in $names) {
        $found = $ExecutionContext.InvokeCommand.GetCommand($name, 'Function,Filter,Cmdlet')
        if ($found) { return $found }
    }
}

function Import-UcCall([hashtable] $Call) {
    <#
    .SYNOPSIS
        Have the command of a call there: @{ Outcome = found|lost }.
    .DESCRIPTION
        Modules beyond the critical ones are imported when a call first names them: the module, then the command's owner, then all,
        because some commands exist only after another module brought its components.
    #>
    $found = Find-UcCommand $Call.Module $Call.Command $Call.Owner
    foreach ($path in @($Call.Path, $Call.OwnerPath) + $Call.AllPaths) {
        if ($found) { break }
        if (-not $path) { continue }
        $null = Import-UcModule $path
        $found = Find-UcCommand $Call.Module $Call.Command $Call.Owner
    }
    @{ Outcome = if ($found) { 'found' } else { 'lost' } }
}

function Remove-Stack([string] $Text) {
    # Where in somebody's code it happened is not the caller's business: the lines of .NET's and the engine's stacks and positions.
    if (-not $Text.Contains("`n")) { return $Text }
    $stack = '^\s*(at \S.*\(.*\)( in .*)?|at .+: line \d+|--- End of .*|At .+:\d+ char:\d+|\+ (~|CategoryInfo|FullyQualifiedErrorId).*|\|\s+~+|Line \||\d+ \|.*)\s*$'
    (@($Text -split '\r?\n') -notmatch $stack -join "`n").TrimEnd()
}

function Add-Message([hashtable] $Envelope, [Collections.Generic.List[string]] $List, [object] $Message) {
    if ($List.Count -ge $script:MostMessages) { $Envelope.Truncated = $true; return }
    $text = Remove-Stack "$Message"
    if ($text.Length -gt $script:MostMessage) {
        $Envelope.Truncated = $true
        $text = $text.Substring(0, $script:MostMessage)
    }
    $List.Add($text)
}

function Test-Binding([Management.Automation.ErrorRecord] $Record, [Management.Automation.CommandInfo] $Command) {
    # Only the call's own parameters: a binding error deeper inside is the command's affair.
    $exception = $Record.Exception
    $exception -is [Management.Automation.ParameterBindingException] -and "$($exception.CommandInvocation.MyCommand.Name)" -eq $Command.Name
}

function Invoke-UcCommand([hashtable] $Call) {
    <#
    .SYNOPSIS
        Call one command with splatted parameters. @{ Outcome = done|bad-parameters|lost; Json; Errors; Warnings; Truncated; Restored },
        the last of which says that Restore-UcFrame has been run.
    #>
    $command = Find-UcCommand $Call.Module $Call.Command $Call.Owner
    if (-not $command) { return @{ Outcome = 'lost'; Restored = $false } }
    $envelope = New-UcEnvelope $Call.ResultBytes $Call.ResultDepth
    $errors = [Collections.Generic.List[string]]::new()
    $warnings = [Collections.Generic.List[string]]::new()
    # What a program wrote to stderr: notes as often as errors. Its exit code says which.
    $notes = [Collections.Generic.List[string]]::new()
    $global:LASTEXITCODE = 0
    $parameters = $Call.Parameters
    $outcome = 'done'
    # `break` ends a pipeline whose result is full; the loop of one also catches a stray `break` in the command itself.
    foreach ($once in 1) {
        try {
            & $command @parameters 2>&1 3>&1 4>$null 5>$null 6>$null | & {
                process {
                    if ($_ -is [Management.Automation.ErrorRecord]) {
                        $list = $errors
                        if ($_.FullyQualifiedErrorId -clike 'NativeCommandError*') { $list = $notes }
                        Add-Message $envelope $list $_
                    }
                    elseif ($_ -is [Management.Automation.WarningRecord]) { Add-Message $envelope $warnings $_ }
                    else { Add-UcResult $envelope $_ }
                    if ($envelope.Full) { break }
                }
            }
        } catch {
            if (Test-Binding $_ $command) { $outcome = 'bad-parameters' }
            Add-Message $envelope $errors $_
        }
    }
    if ($notes.Count) {
        $list = $warnings
        if ($global:LASTEXITCODE) { $list = $errors }
        foreach ($note in $notes) { Add-Message $envelope $list $note }
    }
    $json = Close-UcEnvelope $envelope
    $restored = $null -ne $script:Table
    if ($restored) { Restore-Table }
    @{ Outcome = $outcome; Json = $json; Errors = $errors.ToArray(); Warnings = $warnings.ToArray(); Truncated = $envelope.Truncated; Restored = $restored }
}

function Set-Marks {
    # What Restore-Table compares with: every variable of the table, and those whose values count with the values.
    $script:Listed = [object[]] @($script:Table.Values)
    $script:Watched = [psvariable[]] @(foreach ($variable in $script:Listed) { if ($script:Globals.ContainsKey($variable.Name)) { $variable } })
    $script:Values = [object[]]::new($script:Watched.Count)
    for ($i = 0; $i -lt $script:Watched.Count; $i++) { $script:Values[$i] = $script:Globals[$script:Watched[$i].Name] }
}

function Restore-Table {
    # Most calls change no global: whether the table holds the same variables with the same values is seen at little cost.
    $watched = $script:Watched
    $values = $script:Values
    $same = [Linq.Enumerable]::SequenceEqual([object[]] @($script:Table.Values), $script:Listed)
    for ($i = 0; $same -and $i -lt $watched.Count; $i++) { $same = [object]::ReferenceEquals($watched[$i].Value, $values[$i]) }
    if (-not $same) {
        Restore-Globals $script:Table.Values
        Set-Marks
    }
    Restore-Place
}

function Save-UcFrame {
    <#
    .SYNOPSIS
        Remember the global variables, which are piped in: only a pipeline at the top level sees them and nothing else.
    #>
    $script:Globals = @{}
    foreach ($variable in $input) {
        if (-not $script:Automatic.Contains($variable.Name)) { $script:Globals[$variable.Name] = $variable.Value }
    }
    if ($script:Table) { Set-Marks }
}

function Restore-UcFrame {
    <#
    .SYNOPSIS
        After a call: globals (piped in), preferences, location and $Error as they were, so that no call sees another's.
    #>
    Restore-Globals @($input)
    Restore-Place
}

function Restore-Globals([Collections.IEnumerable] $Variables) {
    $kept = 0
    $globals = $script:Globals
    $automatic = $script:Automatic
    $added = [Collections.Generic.List[string]]::new()
    foreach ($variable in $Variables) {
        $name = $variable.Name
        if ($globals.ContainsKey($name)) {
            $kept++
            if ([object]::ReferenceEquals($globals[$name], $variable.Value)) { continue }
            try { $variable.Value = $globals[$name] } catch { $null = $_ }
        } elseif (-not $automatic.Contains($name)) { $added.Add($name) }
    }
    # After the preferences are back: what is left could be a global WhatIfPreference.
    foreach ($name in $added) { Remove-Variable -Name $name -Scope Global -Force -ErrorAction Ignore 2>$null }
    if ($kept -lt $globals.Count) {
        foreach ($name in $globals.Keys) {
            if (-not (Test-Path "variable:global:$name")) { Set-Variable -Name $name -Scope Global -Value $globals[$name] }
        }
    }
}

function Restore-Place {
    # Path and not ProviderPath, which costs a hundred times more.
    if ($ExecutionContext.SessionState.Path.CurrentLocation.Path -cne $script:Place) { Set-Location -LiteralPath $script:Place }
    $global:Error.Clear()
}

Export-ModuleMember -Function Initialize-UcFrame, Import-UcModule, Import-UcCall, Find-UcCommand, Invoke-UcCommand, Save-UcFrame, Restore-UcFrame, Test-UcFrame
