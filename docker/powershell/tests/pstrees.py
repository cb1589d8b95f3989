"""The trees of modules that the tests write: one that does everything a caller may meet, and a rough one."""

from __future__ import annotations

from pathlib import Path

from psserver import write_module

PROBE = """
function Get-Echo {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [Alias('Words')] [string] $Text, [int] $Number = 5, [switch] $Loud,
        [string[]] $List, [hashtable] $Table)
    [pscustomobject] [ordered]@{ text = $Text; number = $Number; loud = $Loud; list = $List; table = $Table }
}
function Get-Nothing { }
function Get-Mixed { Write-Warning 'careful'; 'before'; Write-Error 'not so bad'; 'after'; throw 'the end' }
function Get-Endless { $i = 0; while ($true) { ($i++) } }
function Get-Deep { $table = @{}; $table.self = $table; $table }
function Get-Large { 1..40 | ForEach-Object { 'x' * 60000 } }
function Get-Awkward {
    [ordered]@{
        file = Get-Item /etc/hostname; type = [int]; error = (Get-Failed); nan = [double]::NaN; one = @('a'); none = @()
        process = [Diagnostics.Process]::GetCurrentProcess(); half = "$([char] 0xD800)x"
    }
}
function Get-Failed { try { throw 'inner' } catch { $_ } }
function Set-Leaks { $global:Leak = 'seen'; $global:ErrorActionPreference = 'Stop'; Set-Location / }
function Get-Leaks { "$global:Leak|$ErrorActionPreference|$(Split-Path -Leaf $PWD)" }
function Stop-Session { exit 7 }
function Get-Stray { 1; break; 2 }
function Start-Sleepy {
    param([double] $Seconds)
    $end = [DateTime]::UtcNow.AddSeconds($Seconds)
    while ([DateTime]::UtcNow -lt $end) { Start-Sleep -Milliseconds 20 }
    'awake'
}
function Wait-File { param([string] $Path) while (-not (Test-Path $Path)) { Start-Sleep -Milliseconds 20 }; 'found' }
function Start-Spin { while ($true) { } }
function Start-Blocking { param([int] $Seconds = 3600) [Threading.Thread]::Sleep(1000 * $Seconds) }
function Get-Caller { whoami_that_does_not_exist }
function Get-Private { 'not exported' }
Write-Host 'printed at import'
[Console]::WriteLine('printed past every stream')
"""
PROBE_EXPORTS = (
    "RootModule = 'Probe.psm1'; FunctionsToExport = @('Get-Echo','Get-Nothing','Get-Mixed','Get-Endless','Get-Deep',"
    "'Get-Large','Get-Awkward','Set-Leaks','Get-Leaks','Stop-Session','Get-Stray','Start-Sleepy','Wait-File','Start-Spin','Start-Blocking',"
    "'Invoke-Expression','Get-Absent')"
)

GOOD = "function Get-Good { 'good' }"


def write_rough_tree(tree: Path) -> None:
    """One module for every way in which a module can't be there, and some that can."""
    write_module(tree, "Good", GOOD, manifest="RootModule = 'Good.psm1'; FunctionsToExport = '*'")
    write_module(tree, "Bare", "function Get-Bare { 'bare' }")
    write_module(tree, "Windows", "function a { }", manifest="RequiredAssemblies = @('System.Windows.Forms')")
    write_module(tree, "Forms", "Add-Type -AssemblyName PresentationFramework\nfunction Get-Form { }")
    write_module(tree, "Needy", GOOD, manifest="RootModule = 'Needy.psm1'; RequiredModules = @('Nowhere')")
    write_module(tree, "Broken", "function Get-Broken {", manifest="RootModule = 'Broken.psm1'")
    write_module(tree, "Garbled", GOOD, manifest="RootModule = @( ")
    write_module(tree, "Homeless", "$place = Join-Path $env:UC_NOT_SET 'x'\nfunction Get-Home { }")
    write_module(tree, "Rootless", None, manifest="RootModule = 'Gone.psm1'")
    write_module(tree, "Thrower", "throw 'no luck today'")
    write_module(tree, "Hanging", "[Threading.Thread]::Sleep(3600000)")
    write_module(tree, "Other", GOOD, manifest="RootModule = 'Other.psm1'", folder="Mismatch")
    write_module(tree, "lower", GOOD, manifest="RootModule = 'lower.psm1'", folder="Lower")
    write_module(tree, "Inner", GOOD, manifest="RootModule = 'Inner.psm1'", folder="Good/Inner")
    (tree / "Loose.psm1").write_text(GOOD)
    # It declares what another module's component brings, as real trees do.
    write_module(tree, "Front", None, manifest="FunctionsToExport = @('Get-Part')")
    write_module(tree, "Part", "function Get-Part { 'part' }")
    # Importing it unloads one that was imported before.
    write_module(tree, "Zealot", "Remove-Module Bare -Force -ErrorAction Ignore\nfunction Get-Zeal { 'zeal' }")
    write_module(tree, "Writer", "Set-Content \"$PSScriptRoot/../written\" 1\nfunction Get-Written { 'tried' }")
