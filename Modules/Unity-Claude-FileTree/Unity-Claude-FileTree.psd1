@{
    RootModule           = 'Unity-Claude-FileTree.psm1'
    ModuleVersion        = '1.0.0'
    GUID                 = '6f2d6f0e-3f5c-4c65-9a35-2b1f5c1f6a03'
    Author               = 'Unity-Claude-Automation'
    Description          = 'What a folder of the workspace holds, in numbers.'
    PowerShellVersion    = '7.2'
    CompatiblePSEditions = @('Core')
    RequiredModules      = @('Unity-Claude-Workspace')
    FunctionsToExport    = @('Get-FileTreeSummary')
    CmdletsToExport      = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
}
