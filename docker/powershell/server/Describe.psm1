# What the imported modules can really do: asked of the engine after all imports, in the runspace that made them.
Import-Module "$PSScriptRoot/Frame.psm1"
Import-Module "$PSScriptRoot/Types.psm1"

$script:Common = [Collections.Generic.HashSet[string]]::new([string[]] [Management.Automation.PSCmdlet]::CommonParameters, [StringComparer]::OrdinalIgnoreCase)

function Get-UcCommands([object[]] $Modules, [string[]] $Roots) {
    <#
    .SYNOPSIS
        For each @{ Name; Names }: the commands among Names that resolve to code under $Roots, as @{ module = @{ command = facts } }.
    #>
    $catalog = @{}
    foreach ($module in $Modules) {
        $commands = [ordered]@{}
        foreach ($name in $module.Names | Sort-Object -Unique) {
            # The requested module's own export, else whoever owns the name by now: a component that was imported globally.
            $found = if ($name -notmatch '[*?\[\]\\]') { Find-UcCommand $module.Name $name '' }
            if ($found -and (Test-Origin $found $Roots)) { $commands[$name] = Get-CommandFacts $found }
        }
        $catalog[$module.Name] = $commands
    }
    $catalog
}

function Get-Origin([Management.Automation.CommandInfo] $Command) {
    if ($Command -is [Management.Automation.CmdletInfo]) { return "$($Command.ImplementingType.Assembly.Location)" }
    $file = "$($Command.ScriptBlock.File)"
    if ($file) { $file } else { "$($Command.Module.Path)" }
}

function Test-Origin([Management.Automation.CommandInfo] $Command, [string[]] $Roots) {
    # A manifest that "exports" Invoke-Expression doesn't make the engine's own command callable from outside.
    $origin = Get-Origin $Command
    foreach ($root in $Roots) { if ($origin.StartsWith("$root/")) { return $true } }
    $false
}

function Get-CommandFacts([Management.Automation.CommandInfo] $Command) {
    $help = if ($Command -is [Management.Automation.FunctionInfo]) { Get-HelpText $Command }
    $parameters = [ordered]@{}
    foreach ($parameter in $Command.Parameters.Values) {
        if (-not $script:Common.Contains($parameter.Name)) { $parameters[$parameter.Name] = Get-ParameterFacts $parameter $help }
    }
    $owner = "$($Command.ModuleName)"
    $path = if ($Command.Module) { "$($Command.Module.Path)" } else { '' }
    @{ Name = $Command.Name; Owner = $owner; OwnerPath = $path; Synopsis = "$($help.Synopsis)".Trim(); Parameters = $parameters }
}

function Get-HelpText([Management.Automation.FunctionInfo] $Command) {
    $ast = $Command.ScriptBlock.Ast
    if ($ast -is [Management.Automation.Language.FunctionDefinitionAst]) { $ast.GetHelpContent() }
}

function Get-ParameterFacts([Management.Automation.ParameterMetadata] $Parameter, [object] $Help) {
    $everywhere = $Parameter.ParameterSets['__AllParameterSets']
    $set = $Parameter.Attributes | Where-Object { $_ -is [ValidateSet] } | Select-Object -First 1
    $text = if ($Help -and $Help.Parameters) { $Help.Parameters[$Parameter.Name.ToUpperInvariant()] }
    $accepted = Get-Accepted $Parameter.ParameterType
    @{
        type      = $Parameter.ParameterType.Name
        accepts   = $accepted.Kind
        list      = $accepted.List
        switch    = $Parameter.SwitchParameter
        mandatory = $null -ne $everywhere -and $everywhere.IsMandatory
        aliases   = [string[]] @($Parameter.Aliases)
        values    = [string[]] @(if ($set) { $set.ValidValues })
        help      = "$text".Trim()
    }
}

Export-ModuleMember -Function Get-UcCommands
