# Compiler messages out of Unity editor logs and C# builds. Unity prints every message several times; each is told once.

# Assets/Scripts/Player.cs(12,34): error CS1002: ; expected        (also without a column, also "Burst error BC1064:")
$script:Located = [regex]::new('^\s*(?<file>[^\s(][^(\r\n]*)\((?<line>\d+)(?:,(?<column>\d+))?(?:,\d+,\d+)?\):\s*(?:Burst\s+|fatal\s+)?(?<severity>error|warning)\s*(?<code>[A-Z]{1,8}\d{1,6})?\s*:\s*(?<message>.+)$', 'Compiled')
# error CS0006: Metadata file 'x.dll' could not be found           (no place in a file)
$script:Placeless = [regex]::new('^\s*(?<severity>error|warning)\s+(?<code>[A-Z]{1,8}\d{1,6})\s*:\s*(?<message>.+)$', 'Compiled')
# Shader error in 'Custom/Water': undeclared identifier 'foo' at line 33 (on d3d11)
$script:Shader = [regex]::new("^\s*Shader (?<severity>error|warning) in '(?<file>[^']+)'\s*:\s*(?<message>.+?)(?: at (?:[^ ]+\()?line (?<line>\d+)\)?)?(?: \(on [^)]*\))?$", 'Compiled')
$script:MostLine = 8192

function ConvertTo-Record([Text.RegularExpressions.Match] $Match) {
    $groups = $Match.Groups
    [pscustomobject] [ordered]@{
        file     = if ($groups['file'].Success) { $groups['file'].Value.Trim().Replace('\', '/') } else { $null }
        line     = if ($groups['line'].Success) { [int] $groups['line'].Value } else { $null }
        column   = if ($groups['column'].Success) { [int] $groups['column'].Value } else { $null }
        severity = $groups['severity'].Value
        code     = if ($groups['code'].Success) { $groups['code'].Value } else { $null }
        # MSBuild ends a message with the project in brackets.
        message  = ($groups['message'].Value -replace '\s*\[[^\[\]]+\.(cs|vb)proj(::[^\]]*)?\]\s*$', '').Trim()
    }
}

function Read-Message([string] $Line) {
    if ($Line.Length -gt $script:MostLine -or -not ($Line.Contains('error') -or $Line.Contains('warning'))) { return }
    foreach ($pattern in $script:Located, $script:Placeless, $script:Shader) {
        $match = $pattern.Match($Line)
        if ($match.Success) { return ConvertTo-Record $match }
    }
}

function ConvertFrom-UnityCompileLog {
    <#
    .SYNOPSIS
        The compiler errors and warnings of a Unity or C# build log, each once, in the order they first appear.
    .DESCRIPTION
        Returns records of file, line, column, severity (error or warning), code and message. What a message has no place for is null:
        an assembly that could not be found has no file, a shader message has no code. Paths are written with forward slashes.
    .PARAMETER Path
        The log file, relative to the workspace.
    .PARAMETER Text
        The log itself.
    .PARAMETER Severity
        Only errors, or only warnings.
    .EXAMPLE
        ConvertFrom-UnityCompileLog -Path Logs/Editor.log -Severity error
    #>
    [CmdletBinding(DefaultParameterSetName = 'Path')]
    [OutputType([pscustomobject])]
    param(
        [Parameter(Mandatory, Position = 0, ParameterSetName = 'Path')] [ValidateNotNullOrEmpty()] [string] $Path,
        [Parameter(Mandatory, ParameterSetName = 'Text')] [AllowEmptyString()] [string] $Text,
        [ValidateSet('error', 'warning')] [string] $Severity
    )
    $lines = if ($PSCmdlet.ParameterSetName -eq 'Path') {
        [IO.File]::ReadLines((Resolve-WorkspacePath -Path $Path -MustExist File))
    } else {
        $Text.Split("`n")
    }
    $seen = [Collections.Generic.HashSet[string]]::new()
    foreach ($line in $lines) {
        $record = Read-Message $line.TrimEnd("`r")
        if (-not $record -or ($Severity -and $record.severity -ne $Severity)) { continue }
        $key = $record.file, $record.line, $record.column, $record.severity, $record.code, $record.message -join "`0"
        if ($seen.Add($key)) { $record }
    }
}

Export-ModuleMember -Function ConvertFrom-UnityCompileLog
