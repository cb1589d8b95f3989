# What a command returns, as JSON that is always valid and never larger, deeper or slower than allowed.
# Runs in the module runspace, inside the call's time limit: reading a property runs somebody's code.
# A call of a function costs more than writing ten values: those of the common types are written by the loop over their container.

$script:MostText = 65536
$script:MostProperties = 200
$script:MostValues = 10000
$script:Codes = @{}
$script:Kinds = [ordered]@{
    [Management.Automation.ErrorRecord] = 'string'; [scriptblock] = 'string'; [exception] = 'message'
    [IO.FileSystemInfo] = 'full'; [type] = 'full'; [Management.Automation.CommandInfo] = 'name'; [psmoduleinfo] = 'name'
    [securestring] = 'secret'; [pscredential] = 'secret'; [Diagnostics.Process] = 'process'
    [delegate] = 'opaque'; [IO.Stream] = 'opaque'; [Threading.Thread] = 'opaque'; [intptr] = 'opaque'; [uintptr] = 'opaque'
    [Reflection.Assembly] = 'opaque'; [Reflection.MemberInfo] = 'opaque'; [runspace] = 'opaque'; [Management.Automation.PowerShell] = 'opaque'
    [Threading.Tasks.Task] = 'opaque'; [Threading.WaitHandle] = 'opaque'; [xml.XmlNode] = 'opaque'
    [Collections.IDictionary] = 'dictionary'; [Collections.IEnumerable] = 'list'
}

function New-UcEnvelope([int] $Bytes, [int] $Depth) {
    <#
    .SYNOPSIS
        An empty result list to be filled by Add-UcResult.
    #>
    $stream = [IO.MemoryStream]::new()
    $options = [Text.Json.JsonWriterOptions]::new()
    $options.Encoder = [Text.Encodings.Web.JavaScriptEncoder]::UnsafeRelaxedJsonEscaping
    $writer = [Text.Json.Utf8JsonWriter]::new([IO.Stream] $stream, $options)
    $writer.WriteStartArray()
    @{ Stream = $stream; Writer = $writer; Most = $Bytes; MostText = [Math]::Min($script:MostText, $Bytes); Depth = $Depth; Values = 0; Truncated = $false; Full = $false }
}

function Add-UcResult([hashtable] $Envelope, [object] $Value) {
    <#
    .SYNOPSIS
        Append one value. Truncated: something was cut. Full: the cap on bytes or on values is reached, nothing more is written.
    #>
    $writer = $Envelope.Writer
    if ($Envelope.Values -ge $script:MostValues -or $writer.BytesCommitted + $writer.BytesPending -ge $Envelope.Most) {
        $Envelope.Truncated = $Envelope.Full = $true
        return
    }
    $depth = $Envelope.Depth
    $code = if ($null -ne $Value) { $script:Codes[$Value.GetType()] }
    if ($depth -gt 0 -and $code -in 'object', 'list', 'dictionary') { $Envelope.Values++; Write-Container $Envelope $Value ($depth - 1) $code }
    else { Write-Value $Envelope $Value $depth }
}

function Close-UcEnvelope([hashtable] $Envelope) {
    <#
    .SYNOPSIS
        The finished JSON array as text.
    #>
    $Envelope.Writer.WriteEndArray()
    $Envelope.Writer.Flush()
    [Text.Encoding]::UTF8.GetString($Envelope.Stream.GetBuffer(), 0, [int] $Envelope.Stream.Length)
    $Envelope.Writer.Dispose()
}

function Limit-Text([hashtable] $Envelope, [string] $Text) {
    if ($Text.Length -le $Envelope.MostText) { return $Text }
    $Envelope.Truncated = $true
    $Text.Substring(0, $Envelope.MostText)
}

function Get-Code([type] $Type) {
    # How values of a type are written; worked out once for each type. The kinds whose properties are endless, private or useless
    # become one string.
    if ($Type -eq [string]) { return 'text' }
    if ($Type -eq [bool] -or $Type -eq [switch]) { return 'truth' }
    if ($Type.IsEnum -or $Type -in [char], [guid], [version], [uri], [numerics.biginteger]) { return 'string' }
    if ($Type -in [double], [float]) { return 'real' }
    if ($Type -in [decimal], [ulong]) { return "$Type" }
    if ($Type.IsPrimitive -and $Type -notin [intptr], [uintptr]) { return 'whole' }
    if ($Type -eq [dbnull]) { return 'null' }
    if ($Type -in [datetime], [DateTimeOffset], [timespan]) { return 'time' }
    foreach ($kind in $script:Kinds.Keys) { if ($kind.IsAssignableFrom($Type)) { return $script:Kinds[$kind] } }
    'object'
}

function Write-Value([hashtable] $Envelope, [object] $Value, [int] $Depth) {
    $writer = $Envelope.Writer
    $Envelope.Values++
    if ($null -eq $Value) { $writer.WriteNullValue(); return }
    $type = $Value.GetType()
    $code = $script:Codes[$type] ?? ($script:Codes[$type] = Get-Code $type)
    # The writer turns half a surrogate pair, legal in .NET and not in JSON, into U+FFFD.
    switch ($code) {
        'text' { $writer.WriteStringValue([string] (Limit-Text $Envelope $Value)); return }
        'whole' { $writer.WriteNumberValue([long] $Value); return }
        'truth' { $writer.WriteBooleanValue([bool] $Value); return }
        'null' { $writer.WriteNullValue(); return }
        'real' {
            if ([double]::IsFinite($Value)) { $writer.WriteNumberValue([double] $Value) } else { $writer.WriteStringValue("$Value") }
            return
        }
        'decimal' { $writer.WriteNumberValue([decimal] $Value); return }
        'ulong' { $writer.WriteNumberValue([ulong] $Value); return }
        'time' { $writer.WriteStringValue($Value.ToString($(if ($Value -is [timespan]) { 'c' } else { 'o' }), [cultureinfo]::InvariantCulture)); return }
    }
    if ($code -notin 'dictionary', 'list', 'object') { $writer.WriteStringValue([string] (Limit-Text $Envelope (Get-Text $Value $code))) }
    elseif ($Depth -gt 0) { Write-Container $Envelope $Value ($Depth - 1) $code }
    else {
        $Envelope.Truncated = $true
        $writer.WriteStringValue([string] $Value.PSObject.TypeNames[0])
    }
}

function Get-Text([object] $Value, [string] $Code) {
    switch ($Code) {
        'string' { "$Value" }
        'message' { $Value.Message }
        'full' { $Value.FullName }
        'name' { $Value.Name }
        'secret' { '***' }
        'process' { "process $($Value.Id)" }
        'opaque' { $Value.GetType().FullName }
    }
}

function Write-Container([hashtable] $Envelope, [object] $Value, [int] $Depth, [string] $Code) {
    $writer = $Envelope.Writer
    $most = $Envelope.Most
    $mostText = $Envelope.MostText
    $left = $script:MostProperties
    $isList = $Code -eq 'list'
    $isObject = $Code -eq 'object'
    # Not by `if` as an expression, which would enumerate them.
    $members = $Value
    if ($isObject) { $members = $Value.PSObject.Properties }
    elseif (-not $isList) { $members = $Value.GetEnumerator() }
    if ($isList) { $writer.WriteStartArray() } else { $writer.WriteStartObject() }
    foreach ($member in $members) {
        if ($Envelope.Values -ge $script:MostValues -or $writer.BytesCommitted + $writer.BytesPending -ge $most -or ($isObject -and $left-- -le 0)) {
            $Envelope.Truncated = $true
            break
        }
        $content = $member
        if (-not $isList) {
            if ($isObject) {
                if (-not $member.IsGettable) { continue }
                $name = $member.Name
                try { $content = $member.Value } catch { $content = "$($_.Exception.GetBaseException().Message)" }
            } else {
                $name = "$($member.Key)"
                $content = $member.Value
            }
            if ($name.Length -gt $mostText) { $name = Limit-Text $Envelope $name }
            $writer.WritePropertyName([string] $name)
        }
        if ($content -is [string] -and $content.Length -le $mostText) { $Envelope.Values++; $writer.WriteStringValue([string] $content) }
        elseif ($content -is [int] -or $content -is [long]) { $Envelope.Values++; $writer.WriteNumberValue([long] $content) }
        elseif ($content -is [bool]) { $Envelope.Values++; $writer.WriteBooleanValue([bool] $content) }
        else {
            $code = if ($null -ne $content) { $script:Codes[$content.GetType()] }
            if ($Depth -gt 0 -and $code -in 'object', 'list', 'dictionary') { $Envelope.Values++; Write-Container $Envelope $content ($Depth - 1) $code }
            else { Write-Value $Envelope $content $Depth }
        }
    }
    if ($isList) { $writer.WriteEndArray() } else { $writer.WriteEndObject() }
}

Export-ModuleMember -Function New-UcEnvelope, Add-UcResult, Close-UcEnvelope
