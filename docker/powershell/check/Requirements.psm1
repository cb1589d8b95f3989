# Which required modules are there, in the tree, in the packages or in the engine, and what follows for the modules that need them.

function ConvertTo-Version([string] $Text) {
    # The number before a pre-release label; 0 for what isn't a version.
    $version = $null
    $plain = ($Text -split '[-+]')[0]
    if ($plain -match '^\d+$') { $plain = "$plain.0" }
    if ([version]::TryParse($plain, [ref] $version)) { $version } else { [version] '0.0' }
}

function Compare-Versions([string] $Left, [string] $Right) {
    # 1.2 and 1.2.0 are the same version of a package, though not for [version].
    $a, $b = (ConvertTo-Version $Left), (ConvertTo-Version $Right)
    foreach ($part in 'Major', 'Minor', 'Build', 'Revision') {
        $difference = [Math]::Max(0, $a.$part) - [Math]::Max(0, $b.$part)
        if ($difference) { return $difference }
    }
    0
}

function Test-Version([string] $Version, [hashtable] $Need) {
    <#
    .SYNOPSIS
        Whether a version satisfies a requirement's least, exact and most.
    #>
    if ($Need.Exact -and (Compare-Versions $Version $Need.Exact) -ne 0) { return $false }
    if ($Need.Least -and (Compare-Versions $Version $Need.Least) -lt 0) { return $false }
    -not $Need.Most -or (Compare-Versions $Version $Need.Most) -le 0
}

function Format-Need([hashtable] $Need) {
    <#
    .SYNOPSIS
        A requirement in words.
    #>
    if ($Need.Exact) { return "$($Need.Name) $($Need.Exact)" }
    $bounds = @(if ($Need.Least) { "at least $($Need.Least)" }; if ($Need.Most) { "at most $($Need.Most)" })
    if ($bounds) { "$($Need.Name) ($($bounds -join ', '))" } else { $Need.Name }
}

function Get-EngineModules {
    <#
    .SYNOPSIS
        Names of the modules that come with the engine of this image.
    #>
    'Microsoft.PowerShell.Core'
    if ([IO.Directory]::Exists("$PSHOME/Modules")) { [IO.Directory]::GetDirectories("$PSHOME/Modules") | ForEach-Object { [IO.Path]::GetFileName($_) } }
}

function Get-Missing([object[]] $Read) {
    <#
    .SYNOPSIS
        The requirements, each once, that no module of the tree, the packages or the engine satisfies.
    #>
    $engine = @(Get-EngineModules)
    $seen = @{}
    foreach ($need in $Read | ForEach-Object { $_.Needs }) {
        $text = Format-Need $need
        if ($seen[$text] -or $need.Name -in $engine) { continue }
        $seen[$text] = $true
        if (-not (Find-Provider $Read $need)) { $need }
    }
}

function Find-Provider([object[]] $Read, [hashtable] $Need) {
    $Read | Where-Object { $_.Entry.Discoverable -and $_.Entry.Name -eq $Need.Name -and (Test-Version $_.Entry.Version $Need) } | Select-Object -First 1
}

function Get-NeedFinding([object[]] $Read, [string[]] $Engine, [hashtable] $Need, [string[]] $Path) {
    if ($Need.Name -in $Engine) { return }
    $provider = Find-Provider $Read $Need
    $words = Format-Need $Need
    if (-not $provider) {
        $other = $Read | Where-Object { $_.Entry.Name -eq $Need.Name } | Select-Object -First 1
        $found = if (-not $other) { 'is not there' } elseif ($other.Entry.Discoverable) { "is there as $($other.Entry.Version) only" } else { "can't be found: $($other.Entry.Reason)" }
        return New-Finding 'missing-required-module' "the required module $words $found" "put $($Need.Name).<version>.nupkg in the nupkgs folder, name a module repository, or add the module to the tree"
    }
    if ($provider.Entry.Name -in $Path) { return New-Finding 'missing-required-module' "it requires itself through $($Path -join ' → ')" 'break the circle' }
    $blocked = Get-Findings $Read $Engine $provider $Path | Select-Object -First 1
    if ($blocked) { New-Finding 'missing-required-module' "it requires $($provider.Entry.Name), which can't be there: $($blocked.Reason)" $blocked.Fix }
}

function Get-Findings([object[]] $Read, [string[]] $Engine, [hashtable] $One, [string[]] $Path = @()) {
    <#
    .SYNOPSIS
        Why a module can't be there, its requirements and their requirements included; nothing when it can.
    #>
    $One.Findings
    foreach ($need in $One.Needs) { Get-NeedFinding $Read $Engine $need ($Path + $One.Entry.Name) }
}

Export-ModuleMember -Function Test-Version, Format-Need, Compare-Versions, Get-EngineModules, Get-Missing, Get-Findings
