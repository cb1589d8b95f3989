# Paths given by a caller stay inside one folder, whatever they hold: .., absolute paths, links to elsewhere.

$script:MostLinks = 40

function Get-RealPath([string] $Path) {
    # Every component is resolved, not only the last: a link in the middle leads out just as well.
    $real = '/'
    $left = [Collections.Generic.Stack[string]]::new()
    $parts = [IO.Path]::GetFullPath($Path).Split('/', [StringSplitOptions]::RemoveEmptyEntries)
    [array]::Reverse($parts)
    foreach ($part in $parts) { $left.Push($part) }
    $links = 0
    while ($left.Count -gt 0) {
        $part = $left.Pop()
        if ($part -eq '..') { $real = [IO.Path]::GetDirectoryName($real) ?? '/'; continue }
        $next = [IO.Path]::Combine($real, $part)
        $target = [IO.FileInfo]::new($next).LinkTarget
        if (-not $target) { $real = $next; continue }
        if (++$links -gt $script:MostLinks) { throw "too many links in '$Path'" }
        if ($target.StartsWith('/')) { $real = '/' }
        $steps = $target.Split('/', [StringSplitOptions]::RemoveEmptyEntries)
        [array]::Reverse($steps)
        foreach ($step in $steps) { if ($step -ne '.') { $left.Push($step) } }
    }
    $real
}

function Resolve-WorkspacePath {
    <#
    .SYNOPSIS
        The real absolute path of something in the workspace; an error when it would lie outside.
    .DESCRIPTION
        The workspace is the folder in the environment variable UC_WORKSPACE (/workspace when it is not set). Symbolic links are followed,
        and the place they lead to must be inside as well. A path that does not exist is resolved too, unless -MustExist is given.
    .PARAMETER Path
        A path relative to the workspace, or an absolute one inside it.
    .PARAMETER MustExist
        File, Folder or Any: refuse a path where no such thing is.
    .EXAMPLE
        Resolve-WorkspacePath -Path Assets/Scripts -MustExist Folder
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory, Position = 0)] [AllowEmptyString()] [string] $Path,
        [ValidateSet('No', 'File', 'Folder', 'Any')] [string] $MustExist = 'No'
    )
    if ($Path.Contains("`0")) { throw 'a path cannot hold a null character' }
    $root = Get-RealPath ($env:UC_WORKSPACE ? $env:UC_WORKSPACE : '/workspace')
    $real = Get-RealPath ([IO.Path]::Combine($root, $Path))
    $prefix = $root.TrimEnd('/') + '/'
    if ($real -cne $root -and -not $real.StartsWith($prefix, [StringComparison]::Ordinal)) { throw "'$Path' is outside the workspace" }
    $isFile, $isFolder = [IO.File]::Exists($real), [IO.Directory]::Exists($real)
    $there = switch ($MustExist) { 'File' { $isFile } 'Folder' { $isFolder } 'Any' { $isFile -or $isFolder } default { $true } }
    if (-not $there) { throw "'$Path': there is no such $(if ($MustExist -eq 'Any') { 'file or folder' } else { $MustExist.ToLowerInvariant() }) in the workspace" }
    $real
}

Export-ModuleMember -Function Resolve-WorkspacePath
