# Which JSON value a parameter takes. The language would turn a table into the name of its type, 7.6 into 8 and true into 1
# without a word; here each of them is refused.

$script:Whole = [byte], [sbyte], [int16], [uint16], [int], [uint32], [long], [ulong], [bigint]
$script:Text = [string], [char], [datetime], [DateTimeOffset], [timespan], [guid], [uri], [version]
$script:AnyList = [array], [Collections.IList], [Collections.ICollection], [Collections.IEnumerable], [Collections.ArrayList]
$script:Words = @{ truth = 'true or false'; whole = 'a whole number'; number = 'a number'; text = 'a string'; table = 'an object' }

function Get-Accepted([type] $Type) {
    <#
    .SYNOPSIS
        @{ Kind = truth|whole|number|text|table|any; List } for a parameter's type; what is none of these is left to the engine.
    #>
    if ($Type -in $script:AnyList) { return @{ Kind = 'any'; List = $true } }
    $item = if ($Type.IsArray) { $Type.GetElementType() }
    elseif ($Type.IsGenericType -and $Type.GetGenericArguments().Count -eq 1 -and [Collections.IEnumerable].IsAssignableFrom($Type)) { $Type.GetGenericArguments()[0] }
    $plain = if ($item) { $item } else { $Type }
    $plain = [Nullable]::GetUnderlyingType($plain) ?? $plain
    $kind = if ($plain -in [bool], [switch]) { 'truth' }
    elseif ($plain -in $script:Whole) { 'whole' }
    elseif ($plain -in [double], [float], [decimal]) { 'number' }
    elseif ($plain.IsEnum -or $plain -in $script:Text) { 'text' }
    elseif ([Collections.IDictionary].IsAssignableFrom($plain)) { 'table' }
    else { 'any' }
    @{ Kind = $kind; List = $null -ne $item }
}

function Get-ValueKind([object] $Value) {
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [bool]) { return 'truth' }
    if ($Value -is [string]) { return 'text' }
    if ($Value -is [long] -or $Value -is [bigint]) { return 'whole' }
    if ($Value -is [double]) { return 'number' }
    if ($Value -is [hashtable]) { return 'table' }
    'list'
}

function Test-Fit([string] $Kind, [object] $Value) {
    $given = Get-ValueKind $Value
    switch ($Kind) {
        'any' { $true }
        'whole' { $given -eq 'whole' -or ($given -eq 'text' -and $Value -match '\A\s*[+-]?\d+\s*\z') }
        'number' { $given -in 'whole', 'number', 'text' }
        'text' { $given -in 'text', 'whole', 'number' }
        default { $given -eq $Kind }
    }
}

function Get-Mismatch([Collections.IDictionary] $Facts, [object] $Value) {
    <#
    .SYNOPSIS
        What is expected instead of $Value, in words; nothing when it fits.
    #>
    $many = $Value -is [array]
    if ($Facts.accepts -eq 'any') { return }
    $wrong = if ($many) { -not $Facts.list -or @($Value | Where-Object { -not (Test-Fit $Facts.accepts $_) }).Count -gt 0 } else { -not (Test-Fit $Facts.accepts $Value) }
    if (-not $wrong) { return }
    "$($script:Words[$Facts.accepts])$(if ($Facts.list) { ', or an array of such' })"
}

Export-ModuleMember -Function Get-Accepted, Get-Mismatch
