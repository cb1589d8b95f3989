# What a command returns, as JSON that is always valid and never larger, deeper or slower than allowed.
# Runs in the module runspace, inside the call's time limit: reading a property runs somebody's code.

$script:MostText = 65536
$script:MostProperties = 200
$script:MostValues = 20000
$script:Opaque = [type[]] ([delegate], [IO.Stream], [Threading.Thread], [intptr], [uintptr], [Reflection.Assembly], [Reflection.MemberInfo], [runspace],
    [Management.Automation.PowerShell], [Threading.Tasks.Task], [Threading.WaitHandle], [xml.XmlNode])

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

function Write-Number([Text.Json.Utf8JsonWriter] $Writer, [object] $Value) {
    switch ($Value.GetType().Name) {
        'Double' { if ([double]::IsFinite($Value)) { $Writer.WriteNumberValue([double] $Value) } else { $Writer.WriteStringValue("$Value") } }
        'Single' { if ([float]::IsFinite($Value)) { $Writer.WriteNumberValue([float] $Value) } else { $Writer.WriteStringValue("$Value") } }
        'Decimal' { $Writer.WriteNumberValue([decimal] $Value) }
        'UInt64' { $Writer.WriteNumberValue([ulong] $Value) }
        default { $Writer.WriteNumberValue([long] $Value) }
    }
}

function Get-Text([object] $Value) {
    # The kinds whose properties are endless, private or useless become one string; $null means: look inside.
    # Not a switch: that would look at a list's elements instead of the list.
    if ($Value -is [string]) { return $Value }
    if ($Value -is [enum] -or $Value -is [char] -or $Value -is [guid] -or $Value -is [version] -or $Value -is [uri]) { return "$Value" }
    if ($Value -is [datetime] -or $Value -is [DateTimeOffset]) { return $Value.ToString('o', [cultureinfo]::InvariantCulture) }
    if ($Value -is [timespan]) { return $Value.ToString('c', [cultureinfo]::InvariantCulture) }
    if ($Value -is [Collections.IDictionary] -or $Value -is [array] -or $Value.PSObject.BaseObject -is [Management.Automation.PSCustomObject]) { return $null }
    if ($Value -is [Management.Automation.ErrorRecord] -or $Value -is [scriptblock] -or $Value -is [numerics.biginteger]) { return "$Value" }
    if ($Value -is [exception]) { return $Value.Message }
    if ($Value -is [IO.FileSystemInfo] -or $Value -is [type]) { return $Value.FullName }
    if ($Value -is [securestring] -or $Value -is [pscredential]) { return '***' }
    if ($Value -is [Diagnostics.Process]) { return "process $($Value.Id)" }
    if ($Value -is [Management.Automation.CommandInfo] -or $Value -is [psmoduleinfo]) { return $Value.Name }
    foreach ($opaque in $script:Opaque) { if ($opaque.IsInstanceOfType($Value)) { return $Value.GetType().FullName } }
    $null
}

function Write-Value([hashtable] $Envelope, [object] $Value, [int] $Depth) {
    $writer = $Envelope.Writer
    $Envelope.Values += 1
    if ($null -eq $Value -or $Value -is [dbnull]) { $writer.WriteNullValue(); return }
    if ($Value -is [bool]) { $writer.WriteBooleanValue($Value); return }
    if ($Value -is [switch]) { $writer.WriteBooleanValue($Value.IsPresent); return }
    if (($Value -is [decimal] -or $Value.GetType().IsPrimitive) -and $Value -isnot [char] -and $Value -isnot [intptr] -and $Value -isnot [uintptr] -and $Value -isnot [enum]) {
        Write-Number $writer $Value
        return
    }
    $text = Get-Text $Value
    if ($null -eq $text -and $Depth -le 0) {
        $Envelope.Truncated = $true
        $text = $Value.PSObject.TypeNames[0]
    }
    if ($null -ne $text) { $writer.WriteStringValue([string] (Get-SafeText $Envelope $text)); return }
    if ($Value -is [Collections.IDictionary]) { Write-Dictionary $Envelope $Value ($Depth - 1) }
    elseif ($Value -is [Collections.IEnumerable]) { Write-List $Envelope $Value ($Depth - 1) }
    else { Write-Properties $Envelope $Value ($Depth - 1) }
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
