# The gate of the image build: unpack the required modules, read the whole tree, write the report, refuse when a critical module can't be there.
# Exit 0: all critical modules can work. 1: one can't, and its name, reason and fix are on stderr. 2: the check itself could not run.
#
# With -Json it is no gate: it reads a tree and prints what it found, as one JSON document on one line of stdout, and exits 0. It writes nothing
# but a temporary folder, asks no network (-RepositoryFile is not read), and imports nothing. -Packages and -Critical are honoured. The document:
#   {"engine": "7.6.9", "modules": [MODULE…], "other_versions": [{"name", "path", "reason"}…], "missing": ["Name (at least 1.2)"…],
#    "counts": {"ready": 3, "failed": 1}}
#   MODULE: {"name", "state": "ready"|"failed", "kind": "" or words ("parse error", "missing required module", "missing assembly",
#     "missing root module", "missing file", "windows only", "not discoverable", "name case", "powershell version", "ends process"),
#     "code": "" or the kind as the service reports it ("windows-only-assembly", "loose-file" …), "reason": "" or a sentence, "fix": "" or what to
#     do, "version", "path": relative to the tree, "critical": true|false, "warnings": ["…"], "more": [{"code", "reason", "fix"}…]: further findings}
#   modules: every discoverable module, and every file that is meant as one and lies where the engine doesn't look ("not discoverable"), sorted:
#     the discoverable first, each part by name.
param(
    [Parameter(Mandatory)] [string] $Modules,
    [string] $Required = '',
    [string] $Report = '',
    [switch] $Json,
    [string] $Critical = '',
    [string] $Packages = '',
    [string] $RepositoryFile = '',
    [string] $Server = "$PSScriptRoot/../server"
)
$ErrorActionPreference = 'Stop'
foreach ($file in "$Server/ModuleTree", "$Server/ImportReason", "$PSScriptRoot/Requirements", "$PSScriptRoot/Packages", "$PSScriptRoot/Reader") {
    Import-Module "$file.psm1" -Global -DisableNameChecking
}

function Read-All {
    $engine = @(Get-EngineModules)
    $entries = @(Find-TreeModule $Modules | ForEach-Object { $_.Origin = 'tree'; $_ }) + @(Find-TreeModule $Required | ForEach-Object { $_.Origin = 'package'; $_ })
    foreach ($entry in $entries) { Test-Entry $entry $engine }
}

function Restore-Required([Collections.Generic.List[object]] $Restored) {
    # Packages of the folder first; then, round by round, what is still missing (a package may require another) from the repository.
    $problems = @{}
    if ($Packages -and [IO.Directory]::Exists($Packages)) {
        foreach ($file in [IO.Directory]::GetFiles($Packages, '*.nupkg') | Sort-Object -CaseSensitive) { $Restored.Add((Expand-Package $file $Required 'folder')) }
    }
    $repository = Get-Repository $RepositoryFile
    while ($repository) {
        $missing = @(Get-Missing @(Read-All) | Where-Object { -not $problems[(Format-Need $_)] })
        if (-not $missing) { break }
        foreach ($need in $missing) {
            try { $Restored.Add((Save-Package $repository $need $Required)) } catch { $problems[(Format-Need $need)] = "$($_.Exception.Message)" }
        }
    }
    $problems
}

function Get-Row([hashtable] $One, [object[]] $Findings, [string[]] $Names) {
    $entry = $One.Entry
    [ordered]@{
        name = $entry.Name; version = $entry.Version; path = [IO.Path]::GetRelativePath($(if ($entry.Origin -eq 'tree') { $Modules } else { $Required }), $entry.Path); origin = $entry.Origin
        verdict = if (-not $entry.Discoverable) { 'not-discoverable' } elseif ($Findings) { 'refused' } else { 'ok' }
        critical = $entry.Discoverable -and $entry.Name -in $Names
        findings = @($Findings | ForEach-Object { [ordered]@{ kind = $_.Kind; reason = $_.Reason; fix = $_.Fix } })
        requires = @($One.Needs | ForEach-Object { Format-Need $_ }); warnings = @($One.Warnings)
    }
}

function ConvertTo-Finding([Collections.IDictionary] $Row) {
    # A row of the report as a module of the document.
    $first = $Row.findings | Select-Object -First 1
    $kind = if (-not $first) { '' } elseif ($Row.verdict -eq 'not-discoverable') { 'not discoverable' }
    elseif ($first.kind -like 'windows-only-*') { 'windows only' } else { $first.kind.Replace('-', ' ') }
    [ordered]@{
        name = $Row.name; state = if ($first) { 'failed' } else { 'ready' }; kind = $kind; code = "$($first.kind)"; reason = "$($first.reason)"; fix = "$($first.fix)"
        version = $Row.version; path = $Row.path; critical = $Row.critical; warnings = $Row.warnings
        more = @($Row.findings | Select-Object -Skip 1 | ForEach-Object { [ordered]@{ code = $_.kind; reason = $_.reason; fix = $_.fix } })
    }
}

function Write-Document([object[]] $Rows, [object[]] $Missing) {
    $rows_ = @($Rows | Where-Object { $_.origin -eq 'tree' })
    $others = @($rows_ | Where-Object { $_.findings -and $_.findings[0].kind -eq 'other-version' })
    $modules_ = @($rows_ | Where-Object { $_ -notin $others } | ForEach-Object { ConvertTo-Finding $_ })
    $failed = @($modules_ | Where-Object { $_.state -eq 'failed' }).Count
    $document = [ordered]@{
        engine = "$($PSVersionTable.PSVersion)"; modules = $modules_
        other_versions = @($others | ForEach-Object { [ordered]@{ name = $_.name; path = $_.path; reason = $_.findings[0].reason } })
        missing = @($Missing | ForEach-Object { $_.name }); counts = [ordered]@{ ready = $modules_.Count - $failed; failed = $failed }
    }
    [Console]::Out.WriteLine((ConvertTo-Json -InputObject $document -Compress -Depth 6))
}

function Get-Refusals([object[]] $Rows, [string[]] $Names, [hashtable] $Problems) {
    foreach ($name in $Names) {
        $rows_ = @($Rows | Where-Object { $_.name -eq $name })
        if ($rows_ | Where-Object { $_.verdict -eq 'ok' }) { continue }
        if (-not $rows_) { "${name}: not-in-tree: there is no such module in the tree. To fix: add the folder $name with $name.psd1, or take the name out of UC_CRITICAL." }
        else { foreach ($finding in @($rows_ | Sort-Object { $_.verdict -ne 'refused' })[0].findings) { Format-Refusal $name $finding $Problems } }
    }
}

function Format-Refusal([string] $Name, [Collections.IDictionary] $Finding, [hashtable] $Problems) {
    $reason = $Finding.reason.TrimEnd('.')
    foreach ($need in $Problems.Keys) { if ($reason.Contains("required module $need ")) { $reason += " ($($Problems[$need]))" } }
    "${Name}: $($Finding.kind): $reason. To fix: $($Finding.fix)."
}

try {
    $temporary = ''
    if ($Json) {
        $RepositoryFile = ''
        $Required = $temporary = [IO.Directory]::CreateTempSubdirectory('uc-check-').FullName
    } elseif (-not $Required -or -not $Report) { throw '-Required and -Report are needed without -Json' }
    if (-not [IO.Directory]::Exists($Modules)) { throw "there is no folder of modules at $Modules" }
    $Modules = [IO.Path]::GetFullPath($Modules).TrimEnd('/')
    $Required = [IO.Directory]::CreateDirectory($Required).FullName.TrimEnd('/')
    $wanted = [string[]] @($Critical.Split(',') | ForEach-Object Trim | Where-Object { $_ })
    $restored = [Collections.Generic.List[object]]::new()
    $problems = Restore-Required $restored
    $read = @(Read-All)
    $engine = @(Get-EngineModules)
    $names = @(Select-Critical $wanted @($read | Where-Object { $_.Entry.Origin -eq 'tree' } | ForEach-Object { $_.Entry.Name }))
    $rows = @($read | ForEach-Object { Get-Row $_ @(Get-Findings $read $engine $_) $names })
    $missing = @(Get-Missing $read | ForEach-Object { [ordered]@{ name = Format-Need $_; reason = "$($problems[(Format-Need $_)])" } })
    if ($Json) { Write-Document $rows $missing; exit 0 }
    $body = [ordered]@{ engine = "$($PSVersionTable.PSVersion)"; critical = $names; modules = $rows; packages = $restored.ToArray(); missing = $missing }
    [IO.File]::WriteAllText($Report, (ConvertTo-Json -InputObject $body -Depth 6) + "`n")
    foreach ($row in $rows | Where-Object { $_.verdict -ne 'ok' }) { [Console]::Out.WriteLine("$($row.verdict): $($row.path): $($row.findings[0].kind): $($row.findings[0].reason)") }
    foreach ($one in $missing) { [Console]::Out.WriteLine("missing: $($one.name)$(if ($one.reason) { ": $($one.reason)" })") }
    [Console]::Out.WriteLine("$(@($rows | Where-Object { $_.verdict -eq 'ok' }).Count) of $($rows.Count) modules can be there; report: $Report")
    $refusals = @(Get-Refusals $rows $names $problems)
    foreach ($refusal in $refusals) { [Console]::Error.WriteLine("critical module $refusal") }
    exit $(if ($refusals) { 1 } else { 0 })
} catch {
    [Console]::Error.WriteLine("modules could not be checked: $($_.Exception.GetBaseException().Message)")
    exit 2
} finally {
    if ($temporary -and [IO.Directory]::Exists($temporary)) { [IO.Directory]::Delete($temporary, $true) }
}
