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
function Get-Stacks {
    try { [int]::Parse('x') } catch { Write-Error $_.Exception.ToString(); Write-Error "it failed`n$($_.ScriptStackTrace)`nand that is all" }
    Write-Error "a line`n+ another"
}
Write-Host 'printed at import'
[Console]::WriteLine('printed past every stream')
[Console]::Error.WriteLine('printed as an error')
& /bin/echo 'printed by a program'
[Diagnostics.Process]::Start('/bin/echo', 'printed by a program that has our stdout').WaitForExit()
$raw = [Console]::OpenStandardOutput(); $raw.Write([Text.Encoding]::UTF8.GetBytes("printed as bytes`n")); $raw.Flush()
"""
PROBE_EXPORTS = (
    "RootModule = 'Probe.psm1'; FunctionsToExport = @('Get-Echo','Get-Nothing','Get-Mixed','Get-Endless','Get-Deep',"
    "'Get-Large','Get-Awkward','Set-Leaks','Get-Leaks','Stop-Session','Get-Stray','Start-Sleepy','Wait-File','Start-Spin','Start-Blocking',"
    "'Get-Stacks','Invoke-Expression','Get-Absent')"
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
    write_module(tree, "Other", GOOD, manifest="RootModule = 'Other.psm1'", folder="Mismatch")
    write_module(tree, "lower", GOOD, manifest="RootModule = 'lower.psm1'", folder="Lower")
    write_module(tree, "Inner", GOOD, manifest="RootModule = 'Inner.psm1'", folder="Good/Inner")
    write_module(tree, "Command", "Get-CimInstance Win32_OperatingSystem -ErrorAction Stop")
    write_module(tree, "Registry", "[Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('Software').GetValue('x')")
    write_module(tree, "Program", "Get-NoSuchCommand -ErrorAction Stop")
    write_module(tree, "Future", GOOD, manifest="RootModule = 'Future.psm1'; PowerShellVersion = '99.0'")
    write_module(tree, "Net", "using assembly System.Windows.Forms\nfunction Get-Net { }")
    write_module(tree, "Lib", "using assembly Nowhere.Library\nfunction Get-Lib { }")
    write_module(tree, "Using", "using module Nowhere")
    write_module(tree, "UsingGood", "using module Good\nfunction Get-Using { 'using' }")
    write_module(tree, "Case", None, manifest="RootModule = 'case.psm1'")
    (tree / "Case" / "Case.psm1").write_text(GOOD)
    write_module(tree, "Deep", GOOD, manifest="RootModule = 'Deep.psm1'", folder="Group/of/several/Deep")
    (tree / "Oneline").mkdir()
    (tree / "Oneline" / "Short.psd1").write_text("@{ ModuleVersion = '1.0'; RootModule = 'x.psm1' }")
    for version in ("1.0.0", "2.0.0"):
        script = f"function Get-Twice {{ '{version}' }}"
        fields = f"@{{ ModuleVersion = '{version}'; RootModule = 'Twice.psm1' }}"
        (write_module(tree, "Twice", script, folder=f"Twice/{version}") / "Twice.psd1").write_text(fields)
    (tree / "circle").symlink_to(".")
    (tree / "Loose.psm1").write_text(GOOD)
    # A root that imports its component with -Force -Global, declares its function, and so does another root after it.
    write_module(tree, "Component", "function Get-Component { 'component' }", folder="Suite")
    for name in ("Suite", "Suite2"):
        load = "Import-Module $PSScriptRoot/../Suite/Component.psm1 -Force -Global"
        own = f'function Get-{name} {{ "{name}: $(Get-Component)" }}'
        write_module(
            tree,
            name,
            f"{load}\n{own}",
            manifest=f"RootModule = '{name}.psm1'; FunctionsToExport = @('Get-{name}', 'Get-Component')",
        )
    # It declares what another module's component brings, as real trees do.
    write_module(tree, "Front", None, manifest="FunctionsToExport = @('Get-Part')")
    write_module(tree, "Part", "function Get-Part { 'part' }")
    # Importing it unloads one that was imported before.
    write_module(tree, "Zealot", "Remove-Module Bare -Force -ErrorAction Ignore\nfunction Get-Zeal { 'zeal' }")
    write_module(tree, "Writer", "Set-Content \"$PSScriptRoot/../written\" 1\nfunction Get-Written { 'tried' }")
