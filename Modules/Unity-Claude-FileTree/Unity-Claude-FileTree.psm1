# What a folder holds, in numbers. Links are counted and never followed, so the walk stays in the workspace and ends.

$script:Skipped = '.git', '.hg', '.svn', 'node_modules', '.venv', '__pycache__', 'Library', 'Temp', 'obj'

function Get-Walk([string] $Root, [string[]] $Skip, [int] $Depth, [int] $Most) {
    # @{ Files = @(FileInfo); Folders; Links; Skipped = @(paths); Truncated }
    $walk = @{ Files = [Collections.Generic.List[IO.FileInfo]]::new(); Folders = 0; Links = 0; Skipped = [Collections.Generic.List[string]]::new(); Truncated = $false }
    $options = [IO.EnumerationOptions] @{ IgnoreInaccessible = $true; AttributesToSkip = 0 }
    $queue = [Collections.Generic.Queue[object]]::new()
    $queue.Enqueue(@([IO.DirectoryInfo]::new($Root), 0))
    while ($queue.Count -gt 0) {
        $folder, $level = $queue.Dequeue()
        foreach ($entry in $folder.EnumerateFileSystemInfos('*', $options)) {
            if ($walk.Files.Count + $walk.Folders -ge $Most) { $walk.Truncated = $true; return $walk }
            if ($entry.Attributes.HasFlag([IO.FileAttributes]::ReparsePoint)) { $walk.Links++ }
            elseif ($entry -isnot [IO.DirectoryInfo]) { $walk.Files.Add($entry) }
            elseif ($entry.Name -cin $Skip) { $walk.Skipped.Add([IO.Path]::GetRelativePath($Root, $entry.FullName)) }
            else {
                $walk.Folders++
                if ($level -lt $Depth) { $queue.Enqueue(@($entry, ($level + 1))) } else { $walk.Truncated = $true }
            }
        }
    }
    $walk
}

function Get-Kinds([Collections.Generic.List[IO.FileInfo]] $Files) {
    $kinds = @{}
    foreach ($file in $Files) {
        $extension = $file.Extension.ToLowerInvariant()
        if (-not $kinds.ContainsKey($extension)) { $kinds[$extension] = [pscustomobject] [ordered]@{ extension = $extension; files = 0; bytes = [long] 0 } }
        $kinds[$extension].files++
        $kinds[$extension].bytes += $file.Length
    }
    @($kinds.Values | Sort-Object { - $_.files }, { $_.extension })
}

function Get-FileTreeSummary {
    <#
    .SYNOPSIS
        Files, folders, bytes, kinds, the largest and the newest files of a folder of the workspace.
    .DESCRIPTION
        Version control, package and build folders (.git, node_modules, Library, Temp, obj and the like) are named in `skipped` and not
        counted; links are counted and not followed. `truncated` says that the walk stopped at -Depth or at 50,000 entries.
    .PARAMETER Path
        The folder, relative to the workspace; the workspace itself when it is left out.
    .PARAMETER Depth
        How many levels of folders to go down.
    .PARAMETER Top
        How many of the largest and of the newest files to name.
    .PARAMETER All
        Count the folders that are skipped otherwise.
    .EXAMPLE
        Get-FileTreeSummary -Path Assets -Top 5
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        [Parameter(Position = 0)] [string] $Path = '.',
        [ValidateRange(0, 64)] [int] $Depth = 32,
        [ValidateRange(0, 100)] [int] $Top = 10,
        [switch] $All
    )
    $root = Resolve-WorkspacePath -Path $Path -MustExist Folder
    $walk = Get-Walk $root @(if (-not $All) { $script:Skipped }) $Depth 50000
    $bytes = [long] 0
    foreach ($file in $walk.Files) { $bytes += $file.Length }
    $named = { [pscustomobject] [ordered]@{ path = [IO.Path]::GetRelativePath($root, $_.FullName); bytes = $_.Length; changed = $_.LastWriteTimeUtc.ToString('o') } }
    [pscustomobject] [ordered]@{
        path       = $Path
        files      = $walk.Files.Count
        folders    = $walk.Folders
        links      = $walk.Links
        bytes      = $bytes
        extensions = @(Get-Kinds $walk.Files)
        largest    = @($walk.Files | Sort-Object { - $_.Length }, { $_.FullName } | Select-Object -First $Top | ForEach-Object $named)
        newest     = @($walk.Files | Sort-Object { - $_.LastWriteTimeUtc.Ticks }, { $_.FullName } | Select-Object -First $Top | ForEach-Object $named)
        skipped    = @($walk.Skipped | Sort-Object)
        truncated  = $walk.Truncated
    }
}

Export-ModuleMember -Function Get-FileTreeSummary
