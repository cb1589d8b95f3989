@{
    RootModule           = 'Unity-Claude-Workspace.psm1'
    ModuleVersion        = '1.0.0'
    GUID                 = '6f2d6f0e-3f5c-4c65-9a35-2b1f5c1f6a01'
    Author               = 'Unity-Claude-Automation'
    Description          = 'Paths that cannot leave the workspace.'
    PowerShellVersion    = '7.2'
    CompatiblePSEditions = @('Core')
    RequiredModules      = @()
    FunctionsToExport    = @('Resolve-WorkspacePath')
    CmdletsToExport      = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
}
