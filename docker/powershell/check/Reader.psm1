# Can a module be there in this image? Read from its files with the engine's own parser; nothing of it is run.

function New-Finding([string] $Kind, [string] $Reason, [string] $Fix) { @{ Kind = $Kind; Reason = $Reason; Fix = $Fix } }

function Get-Listed([hashtable] $Data, [string] $Field) {
    foreach ($item in @($Data[$Field])) {
        if ($item -is [hashtable]) { "$($item['ModuleName'])" } elseif ($item) { "$item" }
    }
}

function Resolve-Part([string] $Base, [string] $Name, [string[]] $Extensions) {
    # The file that a manifest's field names, as the engine looks for it, or nothing.
    $path = [IO.Path]::Combine($Base, $Name.Replace('\', '/'))
    foreach ($extension in @('') + $Extensions) { if ([IO.File]::Exists("$path$extension")) { return "$path$extension" } }
    $leaf = [IO.Path]::GetFileName($path)
    foreach ($extension in $Extensions) { if ([IO.File]::Exists("$path/$leaf$extension")) { return "$path/$leaf$extension" } }
}

function Test-Part([hashtable] $Entry, [string] $Field, [string[]] $Extensions, [string[]] $Elsewhere) {
    # @{ Findings; Files } for every file that one field of the manifest names.
    $data = $Entry.Manifest.Data
    $result = @{ Findings = @(); Files = @() }
    foreach ($name in Get-Listed $data $Field) {
        $file = Resolve-Part $Entry.Base $name $Extensions
        if ($file) { $result.Files += $file; continue }
        if ($name -notmatch '[\\/.]' -and $name -in $Elsewhere) { continue }
        $twin = Get-CaseTwin $Entry.Base $name
        $kind = if ($Field -in 'RootModule', 'ModuleToProcess') { 'missing-root-module' } else { 'missing-file' }
        $result.Findings += if ($twin) {
            New-Finding 'name-case' "$Field names '$name', and the file is called '$twin'" "write $twin in $Field"
        } else {
            New-Finding $kind "$Field names '$name', and there is no such file" "add the file, or take it out of $Field"
        }
    }
    $result
}

function Test-Assemblies([hashtable] $Entry) {
    foreach ($name in Get-Listed $Entry.Manifest.Data 'RequiredAssemblies') {
        if (Resolve-Part $Entry.Base $name @('.dll')) { continue }
        $simple = ($name -split ',')[0].Trim() -replace '\.dll$', ''
        if (Test-OnlyWindows $simple) {
            New-Finding 'windows-only-assembly' "RequiredAssemblies names $simple, which only Windows has" 'take it out of RequiredAssemblies and load it where it is used, behind $IsWindows'
        } elseif ($name -match '[\\/]|\.dll$') {
            if (-not [IO.File]::Exists("$PSHOME/$simple.dll")) { New-Finding 'missing-assembly' "RequiredAssemblies names '$name', and there is no such file" 'add the file, or take it out of RequiredAssemblies' }
        }
    }
}

function Get-LoadedAssemblies([Management.Automation.Language.Ast] $Ast) {
    # What importing the script loads for certain: `using assembly` and unguarded Add-Type -AssemblyName with plain names.
    $Ast.UsingStatements | Where-Object { "$($_.UsingStatementKind)" -eq 'Assembly' } | ForEach-Object { "$($_.Name.Value)" }
    $commands = $Ast.FindAll({ $args[0] -is [Management.Automation.Language.CommandAst] -and $args[0].GetCommandName() -eq 'Add-Type' }, $true)
    foreach ($command in $commands | Where-Object { -not (Test-Guarded $_) }) {
        $names = $false
        foreach ($element in $command.CommandElements) {
            if ($element -is [Management.Automation.Language.CommandParameterAst]) { $names = $element.ParameterName -like 'A*' }
            elseif ($names) { try { @($element.SafeGetValue()) } catch { $null = $_ } }
        }
    }
}

function Test-Script([string] $File, [hashtable] $Needs) {
    $tokens = $problems = $null
    $ast = [Management.Automation.Language.Parser]::ParseFile($File, [ref] $tokens, [ref] $problems)
    $name = [IO.Path]::GetFileName($File)
    # `using module` is looked for where this script runs, which is not where the tree will be: it is one more required module.
    foreach ($statement in $ast.UsingStatements | Where-Object { "$($_.UsingStatementKind)" -eq 'Module' -and $_.Name -and $_.Name.Value -notmatch '[\\/]' }) {
        $Needs.List += @{ Name = $statement.Name.Value; Least = ''; Exact = ''; Most = '' }
    }
    foreach ($problem in $problems | Where-Object { $_.ErrorId -eq 'ErrorLoadingAssembly' -and -not (Test-OnlyWindows "$($_.Extent.Text)") }) {
        New-Finding 'missing-assembly' "$name uses $($problem.Extent.Text), and there is no such assembly" 'add the file, or take the line out'
    }
    $problems = @($problems | Where-Object { $_.ErrorId -notin 'ModuleNotFoundDuringParse', 'ErrorLoadingAssembly' })
    if ($problems) {
        return New-Finding 'parse-error' "$name, line $($problems[0].Extent.StartLineNumber): $($problems[0].Message)" 'correct the syntax; `pwsh -NoProfile -File` on the file shows all of it'
    }
    foreach ($assembly in Get-LoadedAssemblies $ast | Where-Object { Test-OnlyWindows $_ }) {
        New-Finding 'windows-only-assembly' "$name loads $assembly when it is imported, and only Windows has it" 'load it inside the function that needs it, or behind $IsWindows'
    }
    $end = Find-ProcessEnd $ast
    if ($end) { New-Finding 'ends-process' "$name ends the process when it is imported: $end" 'take it out, or throw instead' }
    foreach ($required in $ast.ScriptRequirements.RequiredModules) {
        $Needs.List += @{ Name = $required.Name; Least = "$($required.Version)"; Exact = "$($required.RequiredVersion)"; Most = "$($required.MaximumVersion)" }
    }
    if ($ast.ScriptRequirements.RequiredPSVersion -gt $PSVersionTable.PSVersion) {
        New-Finding 'powershell-version' "$name requires PowerShell $($ast.ScriptRequirements.RequiredPSVersion); this image has $($PSVersionTable.PSVersion)" 'build on a newer base, or lower the requirement'
    }
}

function Get-Warnings([hashtable] $Entry) {
    if ($Entry.Manifest.Dynamic) { 'its manifest computes values; only importing it tells them' }
    $editions = @(if ($Entry.Manifest.Data) { Get-Listed $Entry.Manifest.Data 'CompatiblePSEditions' })
    if ($editions -and 'Core' -notin $editions) { "it is declared for $($editions -join ', ') only" }
}

function Test-Entry([hashtable] $Entry, [string[]] $Elsewhere) {
    # Everything but the required modules, which need the verdicts of others: @{ Findings; Needs; Warnings }.
    $needs = @{ List = @(Get-RequiredModules $Entry.Manifest) }
    $findings = @(
        if (-not $Entry.Discoverable) { New-Finding $Entry.Kind $Entry.Reason $Entry.Fix }
        elseif ($Entry.Manifest.Errors) { New-Finding 'parse-error' "$([IO.Path]::GetFileName($Entry.Path)), $($Entry.Manifest.Errors[0])" 'correct the manifest; Test-ModuleManifest shows what it lacks' }
        elseif ($Entry.Manifest) {
            $scripts = @()
            foreach ($field in 'RootModule', 'ModuleToProcess', 'NestedModules', 'ScriptsToProcess', 'TypesToProcess', 'FormatsToProcess') {
                $part = Test-Part $Entry $field @('.psm1', '.psd1', '.ps1', '.dll', '.cdxml') $Elsewhere
                $part.Findings
                $scripts += @($part.Files | Where-Object { $_ -match '\.psm?1$' })
            }
            Test-Assemblies $Entry
            $version = $null
            if ([version]::TryParse("$($Entry.Manifest.Data['PowerShellVersion'])", [ref] $version) -and $version -gt [version] $PSVersionTable.PSVersion) {
                New-Finding 'powershell-version' "its manifest requires PowerShell $version; this image has $($PSVersionTable.PSVersion)" 'build on a newer base, or lower PowerShellVersion'
            }
            foreach ($script_ in $scripts) { Test-Script $script_ $needs }
        } elseif ($Entry.Path -like '*.psm1') { Test-Script $Entry.Path $needs }
    )
    @{ Entry = $Entry; Findings = $findings; Needs = @($needs.List); Warnings = @(Get-Warnings $Entry) }
}

Export-ModuleMember -Function Test-Entry, New-Finding
