@{
    RootModule           = 'Unity-Claude-CompileLog.psm1'
    ModuleVersion        = '1.0.0'
    GUID                 = '6f2d6f0e-3f5c-4c65-9a35-2b1f5c1f6a02'
    Author               = 'Unity-Claude-Automation'
    Description          = 'Compiler messages out of Unity and C# build logs.'
    PowerShellVersion    = '7.2'
    CompatiblePSEditions = @('Core')
    RequiredModules      = @('Unity-Claude-Workspace')
    FunctionsToExport    = @('ConvertFrom-UnityCompileLog')
    CmdletsToExport      = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
}
