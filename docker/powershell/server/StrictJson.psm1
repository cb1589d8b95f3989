# Requests are read by System.Text.Json: no comments, no trailing commas, no NaN, no name given twice.

function ConvertFrom-Element([Text.Json.JsonElement] $Element) {
    switch ($Element.ValueKind) {
        'Object' {
            $table = @{}
            foreach ($property in $Element.EnumerateObject()) {
                # Splatting ignores case, so two names that differ in case are one name given twice.
                if ($table.ContainsKey($property.Name)) { throw "the name '$($property.Name)' is given twice" }
                $value = $property.Value
                if ($value.ValueKind -eq [Text.Json.JsonValueKind]::String) { $table[$property.Name] = $value.GetString() }
                else { $table[$property.Name] = ConvertFrom-Element $value }
            }
            return $table
        }
        'Array' {
            $items = [Collections.Generic.List[object]]::new()
            foreach ($item in $Element.EnumerateArray()) { $items.Add((ConvertFrom-Element $item)) }
            return , $items.ToArray()
        }
        'String' { return $Element.GetString() }
        'Number' {
            $whole = [long] 0
            if ($Element.TryGetInt64([ref] $whole)) { return $whole }
            $text = $Element.GetRawText()
            if ($text -notmatch '[.eE]') {
                # Digits beyond this are nobody's number, and reading a megabyte of them takes seconds.
                if ($text.Length -gt 64) { throw 'a number is too large' }
                return [bigint]::Parse($text, [cultureinfo]::InvariantCulture)
            }
            $number = $Element.GetDouble()
            if ([double]::IsInfinity($number)) { throw 'a number is too large' }
            return $number
        }
        'True' { return $true }
        'False' { return $false }
        default { return $null }
    }
}

function ConvertFrom-StrictJson([byte[]] $Bytes) {
    <#
    .SYNOPSIS
        A JSON object as a hashtable; throws one sentence when the bytes are anything else.
    #>
    if ($Bytes.Length -eq 0) { throw 'the body is empty; expected a JSON object' }
    $document = $null
    try {
        $document = [Text.Json.JsonDocument]::Parse([IO.MemoryStream]::new($Bytes))
    } catch {
        throw "the body is not JSON: $($_.Exception.GetBaseException().Message)"
    }
    try {
        if ($document.RootElement.ValueKind -ne 'Object') { throw 'the body is not a JSON object' }
        ConvertFrom-Element $document.RootElement
    } finally {
        $document.Dispose()
    }
}

Export-ModuleMember -Function ConvertFrom-StrictJson
