# What is wrong with a repository, told from its files alone: no git program, nothing written, nothing run.

$script:Skipped = '.git', 'node_modules', '.venv', '__pycache__', 'Library', 'Temp', 'obj'
$script:TextKinds = '.cs', '.js', '.ts', '.py', '.ps1', '.psm1', '.psd1', '.json', '.yml', '.yaml', '.toml', '.md', '.xml', '.txt', '.shader', '.asmdef', '.cfg', '.ini', '.sh', '.env', '.pem', '.key', ''
$script:MostFiles = 20000
$script:MostText = 1MB
$script:LargeFile = 50MB
$script:MostFindings = 20

function Get-Tree([string] $Root) {
    $options = [IO.EnumerationOptions] @{ IgnoreInaccessible = $true; AttributesToSkip = [IO.FileAttributes]::ReparsePoint }
    $stack = [Collections.Generic.Stack[string]]::new()
    $stack.Push($Root)
    $count = 0
    while ($stack.Count -gt 0 -and $count -lt $script:MostFiles) {
        $folder = $stack.Pop()
        foreach ($entry in [IO.DirectoryInfo]::new($folder).EnumerateFileSystemInfos('*', $options)) {
            if ($entry -is [IO.DirectoryInfo]) {
                if ($entry.Name -cnotin $script:Skipped) { $stack.Push($entry.FullName) }
            } elseif (++$count -le $script:MostFiles) {
                $entry
            }
        }
    }
}

function Get-GitFolder([string] $Root) {
    # A worktree or submodule has a file that names the folder, which may lie outside the workspace: then it is left alone.
    if ([IO.Directory]::Exists("$Root/.git")) { return "$Root/.git" }
    if (-not [IO.File]::Exists("$Root/.git")) { return }
    $target = [IO.File]::ReadAllText("$Root/.git") -replace '(?s)\A\s*gitdir:\s*(.*?)\s*\z', '$1'
    try { Resolve-WorkspacePath -Path ([IO.Path]::Combine($Root, $target)) -MustExist Folder } catch { $null }
}

function Get-Head([string] $Git) {
    # @{ Branch; Commit } from HEAD, the loose ref or packed-refs.
    $head = if ($Git -and [IO.File]::Exists("$Git/HEAD")) { [IO.File]::ReadAllText("$Git/HEAD").Trim() }
    if ("$head" -notmatch '\Aref: (refs/\S+)\z') { return @{ Branch = $null; Commit = $head } }
    $ref = $Matches[1]
    $commit = $null
    if ($ref -notmatch '\.\.' -and [IO.File]::Exists("$Git/$ref")) { $commit = [IO.File]::ReadAllText("$Git/$ref").Trim() }
    elseif ([IO.File]::Exists("$Git/packed-refs")) {
        $line = [IO.File]::ReadLines("$Git/packed-refs") | Where-Object { $_.EndsWith(" $ref") } | Select-Object -First 1
        if ($line) { $commit = $line.Split(' ')[0] }
    }
    @{ Branch = $ref -replace '^refs/heads/', ''; Commit = $commit }
}

function New-Check([string] $Name, [string] $Severity, [object[]] $Findings) {
    $found = @($Findings | Where-Object { $_ })
    [pscustomobject] [ordered]@{
        name     = $Name
        status   = if ($found.Count) { $Severity } else { 'ok' }
        count    = $found.Count
        findings = @($found | Select-Object -First $script:MostFindings)
    }
}

function Get-TextFindings([string] $Root, [IO.FileInfo[]] $Files) {
    # One reading of each text file for the three things that are seen in text.
    $found = @{ Conflicts = @(); Keys = @(); Json = @() }
    foreach ($file in $Files) {
        if ($file.Length -gt $script:MostText -or $file.Extension.ToLowerInvariant() -notin $script:TextKinds) { continue }
        $text = [IO.File]::ReadAllText($file.FullName)
        $name = [IO.Path]::GetRelativePath($Root, $file.FullName)
        if ($text -match '(?m)^<{7} ' -and $text -match '(?m)^>{7} ') { $found.Conflicts += $name }
        if ($text -match '-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----') { $found.Keys += $name }
        if ($file.Extension -in '.json', '.asmdef' -and -not (Test-JsonText $text)) { $found.Json += $name }
    }
    $found
}

function Test-JsonText([string] $Text) {
    $options = [Text.Json.JsonDocumentOptions]::new()
    $options.CommentHandling = [Text.Json.JsonCommentHandling]::Skip
    $options.AllowTrailingCommas = $true
    try { [Text.Json.JsonDocument]::Parse($Text, $options).Dispose(); $true } catch { $false }
}

function Get-ScriptFindings([string] $Root, [IO.FileInfo[]] $Files) {
    foreach ($file in $Files | Where-Object { $_.Extension -in '.ps1', '.psm1', '.psd1' }) {
        $tokens = $problems = $null
        $null = [Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref] $tokens, [ref] $problems)
        if ($problems) { "$([IO.Path]::GetRelativePath($Root, $file.FullName)):$($problems[0].Extent.StartLineNumber): $($problems[0].Message)" }
    }
}

function Get-MetaFindings([string] $Root, [IO.FileInfo[]] $Files) {
    # Unity keeps an identity beside every asset; an asset without one gets a new identity on every machine.
    if (-not [IO.Directory]::Exists("$Root/Assets")) { return }
    $paths = [Collections.Generic.HashSet[string]]::new([string[]] @($Files | ForEach-Object FullName))
    foreach ($file in $Files | Where-Object { $_.FullName.StartsWith("$Root/Assets/") -and $_.FullName -notmatch '/\.|~(/|$)' }) {
        $name = [IO.Path]::GetRelativePath($Root, $file.FullName)
        if ($file.Extension -ne '.meta') {
            if (-not $paths.Contains("$($file.FullName).meta")) { "${name}: has no .meta" }
        } else {
            $asset = $file.FullName.Substring(0, $file.FullName.Length - 5)
            if (-not $paths.Contains($asset) -and -not [IO.Directory]::Exists($asset)) { "${name}: its asset is gone" }
        }
    }
}

function Get-LargeFindings([string] $Root, [IO.FileInfo[]] $Files) {
    foreach ($file in $Files | Where-Object Length -gt $script:LargeFile) { "$([IO.Path]::GetRelativePath($Root, $file.FullName)): $([Math]::Round($file.Length / 1MB)) MB" }
}

function Get-RepositoryHealth {
    <#
    .SYNOPSIS
        What is wrong with a repository of the workspace, told from its files.
    .DESCRIPTION
        Returns status (healthy, warnings or errors), branch, commit, the number of files read, and checks of name, status, count and up to
        20 findings: merge conflict markers, private keys, PowerShell that does not parse, invalid JSON, Unity assets without .meta (and
        the reverse), files over 50 MB, no .gitignore. Reads at most 20,000 files, and of each text file at most 1 MB.
    .PARAMETER Path
        The repository's folder, relative to the workspace; the workspace itself when it is left out.
    .EXAMPLE
        Get-RepositoryHealth -Path MyGame
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param([Parameter(Position = 0)] [string] $Path = '.')
    $root = Resolve-WorkspacePath -Path $Path -MustExist Folder
    $files = [IO.FileInfo[]] @(Get-Tree $root | Sort-Object FullName)
    $text = Get-TextFindings $root $files
    $git = Get-GitFolder $root
    $head = Get-Head $git
    $checks = @(
        New-Check 'merge-conflicts' 'error' $text.Conflicts
        New-Check 'private-keys' 'error' $text.Keys
        New-Check 'powershell-syntax' 'error' @(Get-ScriptFindings $root $files)
        New-Check 'json-syntax' 'warning' $text.Json
        New-Check 'unity-meta' 'warning' @(Get-MetaFindings $root $files)
        New-Check 'large-files' 'warning' @(Get-LargeFindings $root $files)
        New-Check 'gitignore' 'warning' @(if ($git -and -not [IO.File]::Exists("$root/.gitignore")) { 'there is no .gitignore' })
    )
    $worst = @($checks.status)
    [pscustomobject] [ordered]@{
        path      = $Path
        status    = if ('error' -in $worst) { 'errors' } elseif ('warning' -in $worst) { 'warnings' } else { 'healthy' }
        branch    = $head.Branch
        commit    = $head.Commit
        files     = $files.Count
        truncated = $files.Count -ge $script:MostFiles
        checks    = $checks
    }
}

Export-ModuleMember -Function Get-RepositoryHealth
