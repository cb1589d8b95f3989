# A folder of modules as it lies on disk: which modules the engine can find there, which files look like modules and can't be found, and why.
# Shared by the service and by the static reader of the image build; imports nothing from the tree.

function Read-Manifest([string] $Path) {
    <#
    .SYNOPSIS
        A .psd1 as @{ Data; Errors; Dynamic }: the engine's own parser, nothing is run. Dynamic: valid, but only importing tells its values.
    #>
    $tokens = $problems = $null
    $ast = [Management.Automation.Language.Parser]::ParseFile($Path, [ref] $tokens, [ref] $problems)
    if ($problems.Count) {
        $texts = @($problems | ForEach-Object { "line $($_.Extent.StartLineNumber): $($_.Message)" })
        return @{ Data = $null; Errors = [string[]] $texts; Dynamic = $false }
    }
    $table = $ast.Find({ $args[0] -is [Management.Automation.Language.HashtableAst] }, $false)
    if (-not $table) { return @{ Data = $null; Errors = [string[]] @('holds no @{ } table'); Dynamic = $false } }
    try {
        @{ Data = $table.SafeGetValue(); Errors = [string[]] @(); Dynamic = $false }
    } catch {
        $data = @{}
        foreach ($pair in $table.KeyValuePairs) {
            try { $data["$($pair.Item1.SafeGetValue())"] = $pair.Item2.PipelineElements[0].Expression.SafeGetValue() } catch { $null = $_ }
        }
        @{ Data = $data; Errors = [string[]] @(); Dynamic = $true }
    }
}

function Test-Manifest([string] $Path) {
    # Among .psd1 files that are no module's own, only those with a ModuleVersion are meant as manifests; the rest is data.
    [IO.File]::ReadAllText($Path) -match '(?im)(^|[@{;])\s*[''"]?ModuleVersion[''"]?\s*='
}

function New-Entry([string] $Name, [string] $Path, [string] $Kind, [string] $Reason, [string] $Fix) {
    $manifest = if ($Path -like '*.psd1') { Read-Manifest $Path }
    @{
        Name = $Name; Path = $Path; Base = [IO.Path]::GetDirectoryName($Path); Discoverable = -not $Kind
        Kind = $Kind; Reason = $Reason; Fix = $Fix; Manifest = $manifest
        Version = if ($manifest.Data -is [hashtable]) { "$($manifest.Data['ModuleVersion'])" } else { '' }
    }
}

function Get-Files([string] $Folder, [string] $Extension) {
    @([IO.Directory]::GetFiles($Folder) | Where-Object { $_.EndsWith($Extension, 'OrdinalIgnoreCase') } | Sort-Object -CaseSensitive)
}

function Find-Main([string] $Folder, [string] $Name) {
    # The file that makes this folder the module $Name: in the folder itself, or in the highest of its version folders.
    foreach ($extension in '.psd1', '.psm1', '.dll') {
        if ([IO.File]::Exists("$Folder/$Name$extension")) { return "$Folder/$Name$extension" }
    }
    $version = $null
    [IO.Directory]::GetDirectories($Folder) |
        Where-Object { [version]::TryParse([IO.Path]::GetFileName($_), [ref] $version) -and [IO.File]::Exists("$_/$Name.psd1") } |
        Sort-Object { [version] [IO.Path]::GetFileName($_) } -Descending | Select-Object -First 1 | ForEach-Object { "$_/$Name.psd1" }
}

function Get-Misnamed([string] $File, [string] $Folder) {
    $base = [IO.Path]::GetFileNameWithoutExtension($File)
    $name = [IO.Path]::GetFileName($Folder)
    $file_ = [IO.Path]::GetFileName($File)
    if ($base -eq $name) {
        New-Entry $base $File 'name-case' "$file_ and its folder $name differ in case, and file names here are case-sensitive" "rename one of them: $name/$name$([IO.Path]::GetExtension($File))"
    } else {
        New-Entry $base $File 'name-mismatch' "$file_ is in a folder named $name; the engine looks for $base only in a folder $base" "move it to $base/$file_"
    }
}

function Find-InFolder([string] $Folder) {
    $name = [IO.Path]::GetFileName($Folder)
    $main = Find-Main $Folder $name
    if ($main) { New-Entry $name $main }
    $others = @(Get-Files $Folder '.psd1' | Where-Object { $_ -cne $main -and (Test-Manifest $_) })
    if (-not $main -and -not $others) { $others = @(Get-Files $Folder '.psm1') }
    foreach ($file in $others) { Get-Misnamed $file $Folder }
    $deep = [IO.EnumerationOptions] @{ RecurseSubdirectories = $true; MaxRecursionDepth = 16; IgnoreInaccessible = $true; AttributesToSkip = 'ReparsePoint' }
    foreach ($file in [IO.Directory]::GetFiles($Folder, '*.psd1', $deep) | Sort-Object -CaseSensitive) {
        if ([IO.Path]::GetDirectoryName($file) -ceq $Folder -or $file -ceq $main -or -not (Test-Manifest $file)) { continue }
        Get-Buried $file $Folder $main
    }
}

function Get-Buried([string] $File, [string] $Folder, [string] $Main) {
    # A manifest below a folder of the tree: the engine looks one folder deep, and into folders of versions.
    $base = [IO.Path]::GetFileNameWithoutExtension($File)
    $name = [IO.Path]::GetFileName($Folder)
    $version = $null
    if ($base -ceq $name -and [IO.Path]::GetDirectoryName([IO.Path]::GetDirectoryName($File)) -ceq $Folder -and [version]::TryParse([IO.Path]::GetFileName([IO.Path]::GetDirectoryName($File)), [ref] $version)) {
        return New-Entry $base $File 'other-version' "the engine takes $([IO.Path]::GetRelativePath($Folder, $Main))" 'nothing, unless this is the version that is meant: then take the other away'
    }
    $where = if ($Main) { "inside another module's folder ($name)" } else { "deeper than one folder (below $name)" }
    New-Entry $base $File 'nested' "it lies $where" "move its folder beside $name"
}

function Test-Circle([string] $Folder, [string] $Root) {
    # A link to the tree itself, or to a folder around it, would list every module again.
    $target = [IO.Directory]::ResolveLinkTarget($Folder, $true)
    $target -and "$Root/".StartsWith("$($target.FullName.TrimEnd('/'))/")
}

function Find-TreeModule([string] $Root) {
    <#
    .SYNOPSIS
        Every module of a tree, discoverable or not, sorted by name.
    #>
    if (-not [IO.Directory]::Exists($Root)) { return }
    $found = @(
        foreach ($file in @(Get-Files $Root '.psd1' | Where-Object { Test-Manifest $_ }) + @(Get-Files $Root '.psm1')) {
            $base = [IO.Path]::GetFileNameWithoutExtension($file)
            New-Entry $base $file 'loose-file' 'it lies in the root of the tree; the engine looks only into folders' "move it to $base/$([IO.Path]::GetFileName($file))"
        }
        foreach ($folder in [IO.Directory]::GetDirectories($Root)) {
            if ([IO.Path]::GetFileName($folder).StartsWith('.') -or (Test-Circle $folder $Root)) { continue }
            Find-InFolder $folder
        }
    )
    $found | Sort-Object { -not $_.Discoverable }, { $_.Name }, { $_.Path } -CaseSensitive
}

function Get-RequiredModules([object] $Manifest) {
    <#
    .SYNOPSIS
        The RequiredModules of a read manifest as @{ Name; Least; Exact; Most }.
    #>
    if ($Manifest.Data -isnot [hashtable]) { return }
    foreach ($item in @($Manifest.Data['RequiredModules'])) {
        if ($item -is [hashtable]) {
            @{ Name = "$($item['ModuleName'])"; Least = "$($item['ModuleVersion'])"; Exact = "$($item['RequiredVersion'])"; Most = "$($item['MaximumVersion'])" }
        } elseif ($item) {
            @{ Name = "$item"; Least = ''; Exact = ''; Most = '' }
        }
    }
}

function Test-Guarded([Management.Automation.Language.Ast] $Node) {
    <#
    .SYNOPSIS
        Whether importing the script may pass this node by: inside a function it runs later or never; inside try or if somebody thought of
        its failing.
    #>
    for ($parent = $Node.Parent; $parent; $parent = $parent.Parent) {
        if ($parent -is [Management.Automation.Language.FunctionDefinitionAst] -or $parent -is [Management.Automation.Language.TryStatementAst] -or
            $parent -is [Management.Automation.Language.IfStatementAst] -or $parent -is [Management.Automation.Language.TypeDefinitionAst]) { return $true }
    }
    $false
}

function Find-ProcessEnd([Management.Automation.Language.Ast] $Ast) {
    <#
    .SYNOPSIS
        The first call that importing the script makes for certain and that ends the process, as text; nothing when there is none.
    #>
    $ends = $Ast.FindAll({
        $node = $args[0]
        $node -is [Management.Automation.Language.InvokeMemberExpressionAst] -and $node.Static -and "$($node.Member)" -in 'Exit', 'FailFast' -and
            "$($node.Expression)" -in '[Environment]', '[System.Environment]'
    }, $true)
    $ends | Where-Object { -not (Test-Guarded $_) } | Select-Object -First 1 | ForEach-Object { "$($_.Extent.Text), line $($_.Extent.StartLineNumber)" }
}

function Get-ProcessEnd([hashtable] $Entry) {
    <#
    .SYNOPSIS
        What Find-ProcessEnd finds in a module's own script; most scripts are not even parsed for it.
    #>
    $root = [IO.Path]::GetFileName($Entry.Path)
    if ($Entry.Manifest) { $root = if ($Entry.Manifest.Data) { "$($Entry.Manifest.Data['RootModule'])" } else { '' } }  # no data: not readable
    $file = [IO.Path]::Combine($Entry.Base, $root.Replace('\', '/'))
    if ($root -notlike '*.psm1' -or -not [IO.File]::Exists($file) -or [IO.File]::ReadAllText($file) -notmatch 'Environment\]::(Exit|FailFast)') { return }
    $tokens = $problems = $null
    Find-ProcessEnd ([Management.Automation.Language.Parser]::ParseFile($file, [ref] $tokens, [ref] $problems))
}

function Select-Critical([string[]] $Wanted, [string[]] $Names) {
    <#
    .SYNOPSIS
        The names that UC_CRITICAL means among the names of a tree: a glob pattern stands for what it matches, a plain name for itself
        even if the tree doesn't have it.
    #>
    $chosen = foreach ($name in $Wanted) {
        if ([wildcardpattern]::ContainsWildcardCharacters($name)) { $Names | Where-Object { $_ -like $name } }
        else { @($Names | Where-Object { $_ -eq $name }) + $name | Select-Object -First 1 }
    }
    $chosen | Sort-Object -Unique
}

Export-ModuleMember -Function Read-Manifest, Find-TreeModule, Get-RequiredModules, Select-Critical, Test-Guarded, Find-ProcessEnd, Get-ProcessEnd
