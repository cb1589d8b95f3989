# What a command returns, as JSON that is always valid and never larger, deeper or slower than allowed.
# Runs in the module runspace, inside the call's time limit: reading a property runs somebody's code.

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
    @{ Stream = $stream; Writer = $writer; Most = $Bytes; Depth = $Depth; Values = 0; Truncated = $false }
}

function Add-UcResult([hashtable] $Envelope, [object] $Value) {
    <#
    .SYNOPSIS
        Append one value; once the cap on bytes or on values is reached nothing more is written and Truncated says so.
    #>
    if (Test-Full $Envelope) { return }
    Write-Value $Envelope $Value $Envelope.Depth
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

function Test-Full([hashtable] $Envelope) {
    $full = $Envelope.Values -ge $script:MostValues -or $Envelope.Writer.BytesCommitted + $Envelope.Writer.BytesPending -ge $Envelope.Most
    if ($full) { $Envelope.Truncated = $true }
    $full
}

function Get-SafeText([hashtable] $Envelope, [string] $Text) {
    $room = [Math]::Min($script:MostText, $Envelope.Most)
    if ($Text.Length -gt $room) {
        $Envelope.Truncated = $true
        $Text = $Text.Substring(0, $room)
    }
    # Half a surrogate pair is legal in .NET and illegal in JSON.
    [Text.Encoding]::UTF8.GetString([Text.Encoding]::UTF8.GetBytes($Text))
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
    switch ($code) {
        'text' { $writer.WriteStringValue([string] (Get-SafeText $Envelope $Value)); return }
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
    if ($code -in 'dictionary', 'list', 'object') { Write-Container $Envelope $Value $Depth $code }
    else { $writer.WriteStringValue([string] (Get-SafeText $Envelope (Get-Text $Value $code))) }
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
    if ($Depth -le 0) {
        $Envelope.Truncated = $true
        $Envelope.Writer.WriteStringValue([string] $Value.PSObject.TypeNames[0])
        return
    }
    switch ($Code) {
        'dictionary' { Write-Dictionary $Envelope $Value ($Depth - 1) }
        'list' { Write-List $Envelope $Value ($Depth - 1) }
        'object' { Write-Properties $Envelope $Value ($Depth - 1) }
    }
}

function Write-Dictionary([hashtable] $Envelope, [Collections.IDictionary] $Table, [int] $Depth) {
    $Envelope.Writer.WriteStartObject()
    foreach ($entry in $Table.GetEnumerator()) {
        if (Test-Full $Envelope) { break }
        $Envelope.Writer.WritePropertyName([string] (Get-SafeText $Envelope "$($entry.Key)"))
        Write-Value $Envelope $entry.Value $Depth
    }
    $Envelope.Writer.WriteEndObject()
}

function Write-List([hashtable] $Envelope, [Collections.IEnumerable] $List, [int] $Depth) {
    $Envelope.Writer.WriteStartArray()
    foreach ($item in $List) {
        if (Test-Full $Envelope) { break }
        Write-Value $Envelope $item $Depth
    }
    $Envelope.Writer.WriteEndArray()
}

function Write-Properties([hashtable] $Envelope, [object] $Value, [int] $Depth) {
    $Envelope.Writer.WriteStartObject()
    $count = 0
    foreach ($property in $Value.PSObject.Properties) {
        if ((++$count) -gt $script:MostProperties) { $Envelope.Truncated = $true }
        if ($count -gt $script:MostProperties -or (Test-Full $Envelope)) { break }
        if (-not $property.IsGettable) { continue }
        try { $content = $property.Value } catch { $content = "$($_.Exception.GetBaseException().Message)" }
        $Envelope.Writer.WritePropertyName([string] (Get-SafeText $Envelope $property.Name))
        Write-Value $Envelope $content $Depth
    }
    $Envelope.Writer.WriteEndObject()
}

Export-ModuleMember -Function New-UcEnvelope, Add-UcResult, Close-UcEnvelope
