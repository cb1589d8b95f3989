# From the engine's error to the kind of reason that a person can act on.

$script:OnlyWindows = 'System\.Windows|Presentation(Core|Framework)|WindowsBase|WindowsForms|Microsoft\.Win32\.|System\.Management(\.|\b(?!\.Automation))|System\.DirectoryServices|System\.ServiceProcess|Microsoft\.Management\.Infrastructure\.CimCmdlets|UIAutomation|Windows\.|System\.Speech|Microsoft\.Office'
$script:OnlyWindowsCommands = '^(\w+-(Cim(Instance|Method|Session)|Wmi(Object|Method)|EventLog|WinEvent|Counter|Service|ScheduledTask\w*|ComputerRestorePoint|Acl|HotFix|LocalUser|LocalGroup\w*|Net(Adapter|IPAddress|TCPConnection|FirewallRule)|Printer))$'

function Test-OnlyWindows([string] $Name) {
    <#
    .SYNOPSIS
        Whether an assembly or type of this name exists on Windows alone.
    #>
    $Name -match "^($script:OnlyWindows)"
}

function Get-NullVariables([string] $Text) {
    # Environment variables that the text reads and this process hasn't got.
    [regex]::Matches($Text, '\$\{?env:(\w+)\}?', 'IgnoreCase') | ForEach-Object { $_.Groups[1].Value } |
        Where-Object { $null -eq [Environment]::GetEnvironmentVariable($_) } | Select-Object -Unique
}

function Get-EnvironmentReason([hashtable] $Failure) {
    if ("$($Failure.Id) $($Failure.Message)" -notmatch 'NullNotAllowed|because it is null|null-valued|cannot be null|is an empty string|EmptyStringNotAllowed') { return }
    $names = @(Get-NullVariables $Failure.Line)
    $sure = $names.Count -gt 0
    if (-not $sure -and [IO.File]::Exists($Failure.File)) { $names = @(Get-NullVariables ([IO.File]::ReadAllText($Failure.File))) }
    if ($names.Count -eq 0) { return }
    $verb = if ($sure) { 'is' } else { 'may be' }
    @{ Kind = 'null-environment'; Reason = "the environment variable $($names -join ', ') $verb not set: $($Failure.Message)" }
}

function Get-AssemblyReason([hashtable] $Failure) {
    $pattern = '(?:Could not load file or assembly|Cannot find path for assembly|Cannot add type\. The assembly|assembly with the name|Unable to find type|Cannot find type|could not be found.*assembly)\s*[''"\[]?(?<name>[^''",\]]*)'
    $windows = 'PlatformNotSupportedException' -in $Failure.Inner, $Failure.Type -or $Failure.Line -match '\[(Microsoft\.)?Win32\.Registry|-ComObject\b'
    if (-not $windows -and $Failure.Message -notmatch $pattern) { return }
    $name = if ($windows) { '' } else { $Matches['name'].Trim() }
    if ($windows -or (Test-OnlyWindows $name)) {
        return @{ Kind = 'windows-only-assembly'; Reason = "it needs what only Windows has: $($Failure.Message)" }
    }
    @{ Kind = 'missing-assembly'; Reason = $Failure.Message }
}

function Get-SyntaxReason([hashtable] $Failure) {
    # The engine tells syntax errors as "At file:line char:column", the source, a marker, and the message below.
    if ($Failure.Message -match 'At (?<file>\S[^\n]*):(?<line>\d+) char:\d+\r?\n\+[^\n]*\n(?:\+[^\n]*\n)?(?<text>[^\n]+)') {
        $text = $Matches['text'].Trim()
        $reason = "$([IO.Path]::GetFileName($Matches['file'])), line $($Matches['line']): $text"
        # `using assembly` and the types of a class are looked up while parsing.
        $assembly = if ($text -match "Cannot load assembly '(?<name>[^']+)'|Unable to find type \[(?<name>[^\]]+)\]") { $Matches['name'] }
        $kind = if ($assembly -and (Test-OnlyWindows $assembly)) { 'windows-only-assembly' } elseif ($assembly) { 'missing-assembly' } else { 'parse-error' }
        return @{ Kind = $kind; Reason = $reason }
    }
    if ($Failure.Type -eq 'ParseException' -or $Failure.Inner -eq 'ParseException' -or $Failure.Message -match 'not a valid PowerShell module manifest') {
        @{ Kind = 'parse-error'; Reason = $Failure.Message }
    }
}

function Get-CommandReason([hashtable] $Failure) {
    if ($Failure.Message -notmatch "The term '(?<name>[^']+)' is not recognized") { return }
    $name = $Matches['name']
    if ($name -match $script:OnlyWindowsCommands) { return @{ Kind = 'windows-only-command'; Reason = "it runs $name when it is imported, and only Windows has it" } }
    @{ Kind = 'missing-command'; Reason = "it runs $name when it is imported, and there is no such command here" }
}

function Get-RequirementReason([hashtable] $Failure) {
    if ($Failure.Message -match "required module '(?<name>[^']+)'( with (?<bound>[^']*version) '(?<version>[^']+)')?" -or
        $Failure.Message -match "Could not find the module '(?<name>[^']+)'") {
        $bound = if ($Matches['version']) { " ($($Matches['bound']) $($Matches['version']))" }
        return @{ Kind = 'missing-required-module'; Reason = "the required module $($Matches['name'])$bound is not there, not in the required version, or can't be loaded" }
    }
    if ($Failure.Message -match 'requires a minimum PowerShell version of|minimum version of .*PowerShell|#requires.*PowerShell') {
        @{ Kind = 'powershell-version'; Reason = $Failure.Message }
    }
}

function Get-CaseTwin([string] $Base, [string] $Name) {
    <#
    .SYNOPSIS
        The file that differs from $Name in case alone: the usual reason why a tree from Windows isn't found here.
    #>
    $path = [IO.Path]::Combine($Base, $Name.Replace('\', '/'))
    $folder = [IO.Path]::GetDirectoryName($path)
    if (-not [IO.Directory]::Exists($folder)) { return }
    $leaf = [IO.Path]::GetFileName($path)
    [IO.Directory]::GetFiles($folder) | ForEach-Object { [IO.Path]::GetFileName($_) } | Where-Object { $_ -eq $leaf -or [IO.Path]::GetFileNameWithoutExtension($_) -eq $leaf } | Select-Object -First 1
}

function Get-FileReason([hashtable] $Failure, [string] $Base) {
    if ($Failure.Message -notmatch "module to process '(?<file>[^']+)', listed in field '(?<field>[^']+)'") { return }
    $file, $field = $Matches['file'], ($Matches['field'] -split '/')[-1]
    $twin = if ($Base) { Get-CaseTwin $Base $file }
    if ($twin) { return @{ Kind = 'name-case'; Reason = "its manifest names '$file' in $field, and the file is called '$twin'" } }
    @{ Kind = 'missing-root-module'; Reason = "its manifest names '$file' in $field, and there is no such file (names are case-sensitive here)" }
}

function Get-ImportReason([object[]] $Failures, [string] $Base = '') {
    <#
    .SYNOPSIS
        @{ Kind; Reason } for a failed import of a module in the folder $Base, from its errors in the order they happened (the cause
        comes first).
    #>
    foreach ($failure in $Failures) {
        foreach ($reason in (Get-RequirementReason $failure), (Get-SyntaxReason $failure), (Get-AssemblyReason $failure),
            (Get-EnvironmentReason $failure), (Get-FileReason $failure $Base), (Get-CommandReason $failure)) {
            if ($reason) { return $reason }
        }
    }
    $first = @($Failures)[0]
    @{ Kind = 'other'; Reason = if ($first) { $first.Message } else { 'the engine loaded nothing and gave no error' } }
}

Export-ModuleMember -Function Get-ImportReason, Get-CaseTwin, Test-OnlyWindows
