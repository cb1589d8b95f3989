# POST /invoke: from bytes to a checked call. Only what the catalog names can be called, only by splatting, only with known parameters
# of values that fit.

function New-Refusal([int] $Status, [string] $Code, [string] $Detail) { @{ Refused = $true; Status = $Status; Code = $Code; Detail = $Detail } }

function Read-Call([byte[]] $Bytes) {
    # @{ Module; Command; Parameters } or a refusal.
    try { $body = ConvertFrom-StrictJson $Bytes } catch { return New-Refusal 400 'bad-json' "$_" }
    foreach ($name in $body.Keys) {
        if ($name -notin 'module', 'command', 'parameters') { return New-Refusal 400 'bad-request' "unknown name '$name'; expected module, command, parameters" }
    }
    foreach ($name in 'module', 'command') {
        if ($body[$name] -isnot [string] -or -not $body[$name]) { return New-Refusal 400 'bad-request' "${name}: expected a string" }
    }
    $parameters = if ($null -eq $body['parameters']) { @{} } else { $body['parameters'] }
    if ($parameters -isnot [hashtable]) { return New-Refusal 400 'bad-request' 'parameters: expected an object' }
    @{ Module = $body['module']; Command = $body['command']; Parameters = $parameters }
}

function Find-Command([hashtable] $Catalog, [hashtable] $Call) {
    # @{ Row; Command } or a refusal. One answer for "isn't there" and "isn't allowed" would hide the reason from the operator.
    $row = if ($Catalog) { $Catalog.Modules[$Call.Module] }
    if (-not $row -and -not $Catalog.Complete) { return New-Refusal 503 'starting' 'the modules are still being imported' }
    if (-not $row) { return New-Refusal 403 'unknown-module' "there is no module '$($Call.Module)'; GET /modules lists them" }
    if ($row.State -eq 'pending') { return New-Refusal 503 'starting' "the module $($row.Name) is still being imported" }
    if ($row.State -ne 'importable') { return New-Refusal 403 'module-not-importable' "$($row.Kind): $($row.Reason)" }
    if (-not $row.Allowed) { return New-Refusal 403 'module-not-allowed' 'UC_ALLOWED_MODULES does not name it' }
    $command = $row.Commands[$Call.Command]
    if (-not $command) { return New-Refusal 403 'unknown-command' "module $($row.Name) has no command '$($Call.Command)'; GET /modules/$($row.Name)/commands lists them" }
    @{ Row = $row; Command = $command }
}

function Find-Parameter([Collections.IDictionary] $Parameters, [string] $Name) {
    foreach ($known in $Parameters.Keys) { if ($Name -in $Parameters[$known].aliases) { return $known } }
}

function Get-Arguments([hashtable] $Command, [hashtable] $Given) {
    # The given parameters under their full names, nulls left out (a null would become 0 or ''), or a refusal.
    $arguments = @{}
    foreach ($name in $Given.Keys) {
        $known = if ($Command.Parameters.Contains($name)) { $name } else { Find-Parameter $Command.Parameters $name }
        if (-not $known) { return New-Refusal 400 'unknown-parameter' "$($Command.Name) has no parameter '$name'; it has: $($Command.Parameters.Keys -join ', ')" }
        if ($arguments.ContainsKey($known)) { return New-Refusal 400 'bad-request' "the parameter '$known' is given twice" }
        $value = $Given[$name]
        if ($null -eq $value) { continue }
        $facts = $Command.Parameters[$known]
        # A string where text is taken is what most are.
        $expected = if ($value -isnot [string] -or $facts.accepts -cne 'text') { Get-Mismatch $facts $value }
        if ($expected) { return New-Refusal 400 'bad-parameter' "the parameter '$known' of $($Command.Name) takes $expected" }
        $arguments[$known] = $value
    }
    foreach ($name in $Command.Parameters.Keys) {
        if ($Command.Parameters[$name].mandatory -and -not $arguments.ContainsKey($name)) { return New-Refusal 400 'missing-parameter' "$($Command.Name) needs the parameter '$name'" }
    }
    @{ Arguments = $arguments }
}

function New-Call([hashtable] $Shared, [byte[]] $Bytes) {
    <#
    .SYNOPSIS
        What Invoke-UcCommand needs, or @{ Refused = $true; Status; Code; Detail }.
    #>
    $call = Read-Call $Bytes
    if ($call.Refused) { return $call }
    $catalog = $Shared.Catalog
    $found = Find-Command $catalog $call
    if ($found.Refused) { return $found }
    $checked = Get-Arguments $found.Command $call.Parameters
    if ($checked.Refused) { return $checked }
    @{
        Module = $found.Row.Name; Path = $found.Row.Path; Command = $found.Command.Name; Owner = $found.Command.Owner
        OwnerPath = $found.Command.OwnerPath; AllPaths = $catalog.Paths; Parameters = $checked.Arguments
        ResultBytes = $Shared.Settings.ResultBytes; ResultDepth = $Shared.Settings.ResultDepth
        ImportSeconds = if ($found.Row.Slow) { $Shared.Settings.SlowImportSeconds } else { $Shared.Settings.ImportSeconds }
    }
}

function ConvertTo-Answer([hashtable] $Output, [double] $Milliseconds) {
    <#
    .SYNOPSIS
        The bytes of {"ok","result","errors","warnings","ms","truncated"}. The result is already JSON.
    #>
    $errors = @($Output.Errors)
    $warnings = @($Output.Warnings)
    $text = '{{"ok":{0},"result":{1},"errors":{2},"warnings":{3},"ms":{4},"truncated":{5}}}' -f
        ($errors.Count -eq 0).ToString().ToLowerInvariant(), $Output.Json, ($errors.Count ? (ConvertTo-Json -InputObject $errors -Compress) : '[]'),
        ($warnings.Count ? (ConvertTo-Json -InputObject $warnings -Compress) : '[]'), $Milliseconds.ToString('0.0', [cultureinfo]::InvariantCulture),
        $Output.Truncated.ToString().ToLowerInvariant()
    , [Text.Encoding]::UTF8.GetBytes($text)
}

Export-ModuleMember -Function New-Call, ConvertTo-Answer
