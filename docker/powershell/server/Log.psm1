# One JSON object a line on the process's real stdout, from any runspace.

$script:Rank = @{ debug = 0; info = 1; warning = 2; error = 3 }

function Open-Log([hashtable] $Settings) {
    <#
    .SYNOPSIS
        Take stdout (or the descriptor that `start` kept of it) for the log alone: what a module writes with [Console] goes nowhere.
        Returns what Write-Log needs.
    #>
    $kept = 0
    $stream = if ([int]::TryParse($env:UC_LOG_DESCRIPTOR, [ref] $kept)) {
        [IO.FileStream]::new([Microsoft.Win32.SafeHandles.SafeFileHandle]::new([IntPtr] $kept, $false), [IO.FileAccess]::Write, 1)
    } else { [Console]::OpenStandardOutput() }
    $writer = [IO.StreamWriter]::new($stream, [Text.UTF8Encoding]::new($false))
    $writer.AutoFlush = $true
    [Console]::SetOut([IO.TextWriter]::Null)
    [Console]::SetError([IO.TextWriter]::Null)
    $least = if ($script:Rank.ContainsKey($Settings.LogLevel)) { $script:Rank[$Settings.LogLevel] } else { 1 }
    @{ Writer = [IO.TextWriter]::Synchronized($writer); Least = $least; Service = $Settings.Service }
}

function Write-Log([hashtable] $Log, [string] $Level, [string] $What, [Collections.IDictionary] $Fields = @{}) {
    <#
    .SYNOPSIS
        Write one event; $Fields are plain strings, numbers and booleans.
    #>
    if ($script:Rank[$Level] -lt $Log.Least) { return }
    $line = [ordered]@{
        time    = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ss.ffffffZ', [cultureinfo]::InvariantCulture)
        level   = $Level
        service = $Log.Service
        event   = $What
    }
    foreach ($name in $Fields.Keys) { $line[$name] = $Fields[$name] }
    $Log.Writer.WriteLine((ConvertTo-Json -InputObject $line -Compress -Depth 3))
}

Export-ModuleMember -Function Open-Log, Write-Log
