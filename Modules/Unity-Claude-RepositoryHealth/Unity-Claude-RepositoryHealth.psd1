@{
    RootModule           = 'Unity-Claude-RepositoryHealth.psm1'
    ModuleVersion        = '1.0.0'
    GUID                 = '6f2d6f0e-3f5c-4c65-9a35-2b1f5c1f6a04'
    Author               = 'Unity-Claude-Automation'
    Description          = 'What is wrong with a repository, told from its files alone.'
    PowerShellVersion    = '7.2'
    CompatiblePSEditions = @('Core')
    RequiredModules      = @('Unity-Claude-Workspace')
    FunctionsToExport    = @('Get-RepositoryHealth')
    CmdletsToExport      = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
}
