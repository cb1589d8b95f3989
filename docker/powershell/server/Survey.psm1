# Import every module of the tree once, one by one, and publish what came of it as the catalog: the allow-list of /invoke.
# The catalog is a hashtable of plain values that is replaced as a whole, never changed, so every runspace may read it.

function New-Rows([hashtable] $Settings) {
    # A row for each module of the tree. Of several of one name the critical one is what the engine would import.
    $entries = @(Find-TreeModule $Settings.ModulesPath)
    $critical = @(Select-Critical $Settings.Critical @($entries | ForEach-Object { $_.Name }))
    $discoverable = @($entries | Where-Object { $_.Discoverable } | ForEach-Object { $_.Name })
    foreach ($entry in $entries) {
        @{
            Name = $entry.Name; Path = $entry.Path; Version = $entry.Version; Kind = $entry.Kind; Reason = $entry.Reason
            State = if ($entry.Discoverable) { 'pending' } else { 'not-discoverable' }
            Critical = $entry.Name -in $critical -and ($entry.Discoverable -or $entry.Name -notin $discoverable)
            Allowed = $entry.Discoverable -and ($Settings.Allowed.Count -eq 0 -or $entry.Name -in $Settings.Allowed)
            Declared = Get-Declared $entry; Commands = [ordered]@{}; Slow = $false
        } | ForEach-Object {
            $end = if ($entry.Discoverable) { Get-ProcessEnd $entry }
            if ($end) { Set-Failed $_ 'ends-process' "it is not imported, because its import ends the process: $end" }
            $_
        }
    }
    foreach ($name in $critical) {
        if ($name -notin $entries.Name) {
            @{ Name = $name; Path = ''; Version = ''; Kind = 'not-in-tree'; Reason = 'not in the tree'; State = 'absent'; Critical = $true; Commands = @{} }
        }
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

function Set-Late([hashtable] $Row, [hashtable] $Settings, [int] $Seconds) {
    # The first time a module that takes long stays pending and is tried again with the larger limit; the second time it has failed.
    if ($Row.Slow) { return Set-Failed $Row 'timeout' "its import did not end within $Seconds s" }
    $Row.Slow = $true
    $Row.Kind, $Row.Reason = 'timeout', "its import did not end within $Seconds s; it is being imported again, with a limit of $($Settings.SlowImportSeconds) s"
}

function Import-Row([hashtable] $Row, [hashtable] $Session, [hashtable] $Shared) {
    # True when the session can go on being used.
    $seconds = if ($Row.Slow) { $Shared.Settings.SlowImportSeconds } else { $Shared.Settings.ImportSeconds }
    $call = Invoke-Timed $Session 'Import-UcModule' @{ Path = $Row.Path } (1000 * $seconds) -Cut $Shared.Cut.Token -Wide
    if ($call.State -in 'stopped', 'stuck') {
        Set-Late $Row $Shared.Settings $seconds
        Close-Session $Session -Stuck:($call.State -eq 'stuck')
        return $false
    }
    $outcome = $call.Output
    if ($outcome.Loaded) {
        $Row.State, $Row.Kind, $Row.Reason = 'importable', '', ''
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

function Import-All([object[]] $Rows, [object[]] $All, [hashtable] $Session, [hashtable] $Shared) {
    # Returns the session to go on with: after an import that hangs it is a new one, with everything so far imported again.
    foreach ($row in $Rows) {
        if ($row.State -ne 'pending' -or $Shared.Cut.IsCancellationRequested) { continue }
        $usable = Import-Row $row $Session $Shared
        Publish-Inventory $Shared $All
        if ($usable) { continue }
        $Session = (New-ModuleSession $Shared.Settings @() -Cold).Session
        foreach ($done in @($All | Where-Object State -eq 'importable')) { $null = Import-Row $done $Session $Shared }
    }
    $Session
}

function Update-Commands([object[]] $Rows, [hashtable] $Session, [hashtable] $Settings) {
    $imported = @($Rows | Where-Object State -eq 'importable')
    $questions = @($imported | ForEach-Object { @{ Name = $_.Name; Names = $_.Names } })
    $parameters = @{ Modules = $questions; Roots = @($Settings.ModulesPath, $Settings.RequiredPath) }
    $call = Invoke-Timed $Session 'Get-UcCommands' $parameters 120000
    if ($call.State -ne 'done') { throw "asking for the modules' commands: $($call.State) $($call.Reason)" }
    foreach ($row in $imported) { $row.Commands = $call.Output[$row.Name] }
}

function Publish-Inventory([hashtable] $Shared, [object[]] $Rows) {
    # What /health lists; replaced as a whole, like the catalog. Another version of a module that is there is no module of its own.
    $Shared.Inventory = @(foreach ($row in $Rows) {
        if ($row.Kind -eq 'other-version') { continue }
        $state = switch ($row.State) { 'importable' { 'ready' } 'pending' { 'pending' } default { 'failed' } }
        $reason = if ($row.State -eq 'absent') { $row.Reason } elseif ($row.Kind) { "$($row.Kind): $(Get-OneLine $row.Reason)" } else { '' }
        [ordered]@{ kind = 'module'; name = $row.Name; state = $state; reason = $reason; critical = $row.Critical; commands = $row.Commands.Count }
    })
    $Shared.Surveyed = $true
}

function Publish-Catalog([hashtable] $Shared, [object[]] $Rows, [bool] $Complete) {
    $Rows = @($Rows | Where-Object State -ne 'absent')
    $modules = @{}
    foreach ($row in $Rows) { if ($row.State -ne 'not-discoverable') { $modules[$row.Name] = $row.Clone() } }
    $paths = [string[]] @($Rows | Where-Object State -eq 'importable' | ForEach-Object Path)
    $Shared.Catalog = @{
        Complete = $Complete; Modules = $modules; Paths = $paths
        Critical = [string[]] @($Rows | Where-Object { $_.Critical -and $_.State -eq 'importable' -and -not $_.Slow } | ForEach-Object Path)
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

function Import-Late([hashtable] $Shared, [object[]] $Rows, [hashtable] $Session) {
    # Modules that took too long, once more with the larger limit, while the others are served. Returns the session to go on with.
    $late = @($Rows | Where-Object State -eq 'pending')
    foreach ($row in $late) {
        $Session = Import-All @($row) $Rows $Session $Shared
        if ($row.State -eq 'pending') { continue }
        Update-Commands $Rows $Session $Shared.Settings
        Publish-Catalog $Shared $Rows $true
        Publish-Inventory $Shared $Rows
        Write-Log $Shared.Log $(if ($row.State -eq 'importable') { 'info' } else { 'warning' }) 'module_late' ([ordered]@{ module = $row.Name; state = $row.State; reason = $row.Reason })
    }
    $Session
}

function Publish-Survey([hashtable] $Shared) {
    $settings = $Shared.Settings
    try {
        $rows = @(New-Rows $settings)
        Publish-Inventory $Shared $rows
        $critical = @($rows | Where-Object { $_.Critical })
        $session = (New-ModuleSession $settings @() -Cold).Session
        $session = Import-All $critical $rows $session $Shared
        Update-Commands $critical $session $settings
        Publish-Inventory $Shared $rows
        Publish-Catalog $Shared $critical $false
        $session = Import-All @($rows | Where-Object { -not $_.Critical }) $rows $session $Shared
        Update-Commands $rows $session $settings
        Publish-Inventory $Shared $rows
        Publish-Catalog $Shared $rows $true
        foreach ($row in $rows | Where-Object State -ne 'importable') {
            Write-Log $Shared.Log $(if ($row.Critical) { 'error' } else { 'warning' }) 'module_refused' ([ordered]@{ module = $row.Name; state = $row.State; kind = $row.Kind; reason = $row.Reason })
        }
        Write-Log $Shared.Log info 'catalog_ready' ([ordered]@{ importable = "$($Shared.Catalog.Paths.Count)"; all = "$($rows.Count)" })
        Close-Session (Import-Late $Shared $rows $session)
    } catch {
        Write-Log $Shared.Log error 'survey_failed' @{ reason = "$($_.Exception.GetBaseException().Message) $($_.ScriptStackTrace)" }
    }
}

Export-ModuleMember -Function Start-Survey
