# Import every module of the tree once, one by one, and publish what came of it as the catalog: the allow-list of /invoke.
# The catalog is a hashtable of plain values that is replaced as a whole, never changed, so every runspace may read it.

function New-Row([hashtable] $Entry, [hashtable] $Settings) {
    @{
        Name = $Entry.Name; Path = $Entry.Path; Version = $Entry.Version; Kind = $Entry.Kind; Reason = $Entry.Reason
        State = if ($Entry.Discoverable) { 'pending' } else { 'not-discoverable' }
        Critical = $Entry.Discoverable -and $Entry.Name -in $Settings.Critical
        Allowed = $Entry.Discoverable -and ($Settings.Allowed.Count -eq 0 -or $Entry.Name -in $Settings.Allowed)
        Declared = Get-Declared $Entry; Commands = [ordered]@{}
    }
}

function Get-Declared([hashtable] $Entry) {
    $data = $Entry.Manifest.Data
    if ($data -isnot [hashtable]) { return , [string[]] @() }
    , [string[]] @(@($data['FunctionsToExport']) + @($data['CmdletsToExport']) | Where-Object { $_ -is [string] -and $_ -notmatch '[*?]' })
}

function Get-OneLine([string] $Text) {
    $line = ($Text -replace '\s+', ' ').Trim()
    if ($line.Length -gt 400) { $line.Substring(0, 400) + '…' } else { $line }
}

function Set-Failed([hashtable] $Row, [string] $Kind, [string] $Reason) {
    $Row.State, $Row.Kind, $Row.Reason = 'failed', $Kind, (Get-OneLine $Reason)
}

function Import-Row([hashtable] $Row, [runspace] $Runspace, [hashtable] $Settings) {
    # True when the runspace can go on being used.
    $call = Invoke-Timed $Runspace 'Import-UcModule' @{ Path = $Row.Path } (1000 * $Settings.ImportSeconds)
    if ($call.State -in 'stopped', 'stuck') {
        Set-Failed $Row 'timeout' "its import did not end within $($Settings.ImportSeconds) s"
        return $false
    }
    $outcome = $call.Output
    if ($outcome.Loaded) {
        $Row.State = 'importable'
        $Row.Names = @($Row.Declared) + @($outcome.Exported)
        $Row.Files = [string[]] @($Row.Path, $outcome.File | Where-Object { $_ } | Select-Object -Unique)
        if ($outcome.Version) { $Row.Version = $outcome.Version }
    } elseif ($call.State -eq 'failed' -or -not $outcome) {
        Set-Failed $Row 'other' "its import ended the session: $($call.Reason)"
    } else {
        $reason = Get-ImportReason $outcome.Failures ([IO.Path]::GetDirectoryName($Row.Path))
        Set-Failed $Row $reason.Kind $reason.Reason
    }
    $true
}

function Import-All([object[]] $Rows, [object[]] $Before, [runspace] $Runspace, [hashtable] $Settings) {
    # Returns the runspace to go on with: after an import that hangs it is a new one, with everything so far imported again.
    foreach ($row in $Rows) {
        if ($row.State -ne 'pending' -or (Import-Row $row $Runspace $Settings)) { continue }
        $Runspace = (New-ModuleRunspace $Settings @() -Cold).Runspace
        $good = @($Before + $Rows | Where-Object State -eq 'importable')
        foreach ($done in $good) { $null = Import-Row $done $Runspace $Settings }
    }
    $Runspace
}

function Update-Commands([object[]] $Rows, [runspace] $Runspace, [hashtable] $Settings) {
    $imported = @($Rows | Where-Object State -eq 'importable')
    $questions = @($imported | ForEach-Object { @{ Name = $_.Name; Names = $_.Names } })
    $parameters = @{ Modules = $questions; Roots = @($Settings.ModulesPath, $Settings.RequiredPath) }
    $call = Invoke-Timed $Runspace 'Get-UcCommands' $parameters 120000
    if ($call.State -ne 'done') { throw "asking for the modules' commands: $($call.State) $($call.Reason)" }
    foreach ($row in $imported) { $row.Commands = $call.Output[$row.Name] }
}

function Publish-Catalog([hashtable] $Shared, [object[]] $Rows, [bool] $Complete) {
    $modules = @{}
    foreach ($row in $Rows) { if ($row.State -ne 'not-discoverable') { $modules[$row.Name] = $row.Clone() } }
    $paths = [string[]] @($Rows | Where-Object State -eq 'importable' | ForEach-Object Path)
    $Shared.Catalog = @{
        Complete = $Complete; Modules = $modules; Paths = $paths
        Critical = [string[]] @($Rows | Where-Object { $_.Critical -and $_.State -eq 'importable' } | ForEach-Object Path)
        Json = [Text.Encoding]::UTF8.GetBytes((ConvertTo-CatalogJson $Rows))
        Counts = @{} + ($Rows | Group-Object { $_.State } | ForEach-Object { $t = @{} } { $t[$_.Name] = $_.Count } { $t })
    }
}

function ConvertTo-CatalogJson([object[]] $Rows) {
    $list = @(foreach ($row in $Rows) {
        [ordered]@{
            name = $row.Name; version = $row.Version; state = $row.State; kind = $row.Kind; reason = $row.Reason; critical = $row.Critical
            allowed = $row.Allowed; path = $row.Path
            commands = @(foreach ($command in $row.Commands.Values) { [ordered]@{ name = $command.Name; owner = $command.Owner; synopsis = $command.Synopsis } })
        }
    })
    ConvertTo-Json -InputObject @{ modules = $list } -Compress -Depth 6
}

function Start-Survey([hashtable] $Shared) {
    <#
    .SYNOPSIS
        Publish the catalog twice: with the critical modules as soon as they are in, and whole after all imports. What fails is tried again.
    #>
    while (-not $Shared.Catalog.Complete -and -not $Shared.Stop.IsSet) {
        Publish-Survey $Shared
        if (-not $Shared.Catalog.Complete) { $null = $Shared.Stop.Wait(1000) }
    }
}

function Publish-Survey([hashtable] $Shared) {
    $settings = $Shared.Settings
    try {
        $rows = @(Find-TreeModule $settings.ModulesPath | ForEach-Object { New-Row $_ $settings })
        $critical = @($rows | Where-Object { $_.Critical })
        $rest = @($rows | Where-Object { -not $_.Critical })
        $runspace = (New-ModuleRunspace $settings @() -Cold).Runspace
        $runspace = Import-All $critical @() $runspace $settings
        Update-Commands $critical $runspace $settings
        Publish-Catalog $Shared $critical $false
        $runspace = Import-All $rest $critical $runspace $settings
        Update-Commands $rows $runspace $settings
        Publish-Catalog $Shared $rows $true
        $runspace.CloseAsync()
        foreach ($row in $rows | Where-Object State -ne 'importable') {
            Write-Log $Shared.Log $(if ($row.Critical) { 'error' } else { 'warning' }) 'module_refused' ([ordered]@{ module = $row.Name; state = $row.State; kind = $row.Kind; reason = $row.Reason })
        }
        Write-Log $Shared.Log info 'catalog_ready' ([ordered]@{ importable = "$($Shared.Catalog.Paths.Count)"; all = "$($rows.Count)" })
    } catch {
        Write-Log $Shared.Log error 'survey_failed' @{ reason = "$($_.Exception.GetBaseException().Message) $($_.ScriptStackTrace)" }
    }
}

Export-ModuleMember -Function Start-Survey
